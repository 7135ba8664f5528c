// consumer-pool: several workers on one channel; their producer dies of an error and tells none.

#include "leaks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WORKERS = 4, ITEMS = 8, BAD_ITEM = 6 };

// The workers and the producer each hold it; whoever lets go last frees it.
struct pool {
    taskprof_chan *items;
    atomic_uint holders;
};

static void pool_let_go(struct pool *pool)
{
    if (atomic_fetch_sub(&pool->holders, 1) == 1) {
        taskprof_chan_free(pool->items);
        free(pool);
    }
}

SEEN_IN_STACKS static unsigned pack_items(taskprof_chan *items)
{
    unsigned packed = 0;
    int item;
    bool more = false;
    while (taskprof_chan_receive(items, &item, &more) == 0 && more)
        packed++;
    return packed;
}

static void *pack(void *argument)
{
    struct pool *pool = argument;
    taskprof_task_set_name(taskprof_task_self(), "packs items");
    pack_items(pool->items);
    pool_let_go(pool);
    return NULL;
}

static struct pool *pool_start(void)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    if (taskprof_chan_make(sizeof(int), 0, "items", &pool->items) < 0) {
        free(pool);
        return NULL;
    }
    atomic_init(&pool->holders, 1);
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        atomic_fetch_add(&pool->holders, 1);
        if (spawn(pack, pool) == 0)
            continue;
        atomic_fetch_sub(&pool->holders, 1);
        taskprof_chan_close(pool->items); // sends those home that did start
        pool_let_go(pool);
        return NULL;
    }
    return pool;
}

static bool item_is_good(int item)
{
    return item != BAD_ITEM;
}

static int produce(struct pool *pool)
{
    for (int item = 0; item < ITEMS; item++) {
        if (!item_is_good(item))
            return -EBADMSG; // the leak, unless the caller closes the channel on this path too
        taskprof_chan_send(pool->items, &item);
    }
    return 0;
}

static int leaky(void)
{
    struct pool *pool = pool_start();
    if (!pool)
        return -ENOMEM;
    if (produce(pool) == 0)
        taskprof_chan_close(pool->items);
    pool_let_go(pool);
    return 0;
}

static int fixed(void)
{
    struct pool *pool = pool_start();
    if (!pool)
        return -ENOMEM;
    produce(pool);
    taskprof_chan_close(pool->items); // however it went
    pool_let_go(pool);
    return 0;
}

const struct pattern pattern_consumer_pool = {
    .name = "consumer-pool",
    .story = "4 workers on one channel; the producer dies of an error and tells none of them",
    .waits = "pack_items",
    .reason = "chan receive",
    .channel = "items",
    .tasks = WORKERS,
    .leaky = leaky,
    .fixed = fixed,
};
