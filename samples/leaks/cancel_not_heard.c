// cancel-not-heard: the context is cancelled, but the worker waits on its data alone.
//
// The context is a channel that carries nothing and is closed to cancel, as Go's is.

#include "leaks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

// The watcher and its client both hold it; whoever lets go last frees it.
struct watch {
    taskprof_chan *updates;
    taskprof_chan *cancelled;
    atomic_uint holders;
};

static struct watch *watch_new(void)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    atomic_init(&watch->holders, 2);
    if (taskprof_chan_make(sizeof(int), 0, "updates", &watch->updates) == 0) {
        if (taskprof_chan_make(0, 0, "cancelled", &watch->cancelled) == 0)
            return watch;
        taskprof_chan_free(watch->updates);
    }
    free(watch);
    return NULL;
}

static void watch_free(struct watch *watch)
{
    taskprof_chan_free(watch->updates);
    taskprof_chan_free(watch->cancelled);
    free(watch);
}

static void watch_let_go(struct watch *watch)
{
    if (atomic_fetch_sub(&watch->holders, 1) == 1)
        watch_free(watch);
}

SEEN_IN_STACKS static void watch_stock(struct watch *watch)
{
    int level;
    bool more = true;
    while (more)
        taskprof_chan_receive(watch->updates, &level, &more); // the leak: deaf to `cancelled`
}

SEEN_IN_STACKS static void watch_stock_fixed(struct watch *watch)
{
    int level;
    struct taskprof_case cases[] = {
        {.channel = watch->updates, .element = &level},
        {.channel = watch->cancelled},
    };
    unsigned chosen = 0;
    while (taskprof_select(cases, 2, TASKPROF_FOREVER, &chosen) == 0 && cases[chosen].ok)
        ;
}

static void *run_leaky(void *argument)
{
    taskprof_task_set_name(taskprof_task_self(), "watches stock");
    watch_stock(argument);
    watch_let_go(argument);
    return NULL;
}

static void *run_fixed(void *argument)
{
    taskprof_task_set_name(taskprof_task_self(), "watches stock");
    watch_stock_fixed(argument);
    watch_let_go(argument);
    return NULL;
}

static int watch_and_cancel(void *(*run)(void *))
{
    struct watch *watch = watch_new();
    if (!watch)
        return -ENOMEM;
    int error = spawn(run, watch);
    if (error < 0) {
        watch_free(watch);
        return error;
    }
    int level = 7;
    taskprof_chan_send(watch->updates, &level);
    taskprof_chan_close(watch->cancelled);
    watch_let_go(watch);
    return 0;
}

static int leaky(void)
{
    return watch_and_cancel(run_leaky);
}

static int fixed(void)
{
    return watch_and_cancel(run_fixed);
}

const struct pattern pattern_cancel_not_heard = {
    .name = "cancel-not-heard",
    .story = "the context is cancelled; the worker waits only on its data channel",
    .waits = "watch_stock",
    .reason = "chan receive",
    .channel = "updates",
    .tasks = 1,
    .leaky = leaky,
    .fixed = fixed,
};
