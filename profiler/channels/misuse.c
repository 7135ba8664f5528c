#include "profiler/channels/channel.h"

#include "profiler/base/clock.h"
#include "profiler/base/lock.h"
#include "profiler/base/sort.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/task.h"

#include <string.h>

// A misuse at one pair of places, however often it happened there.
struct kept {
    struct misuse misuse;
    uint64_t order; // of its last time; 0: unused
};

static struct lock kept_lock = LOCK_INIT; // guards the four below
static uint64_t counts[MISUSE_KINDS];
static struct kept kept[MISUSES_KEPT];
static uint64_t last_order;
static uint64_t forgotten; // misuses at places that gave way to later ones

const char *misuse_text(enum misuse_kind kind)
{
    static const char *const texts[MISUSE_KINDS] = {
        [MISUSE_SEND_ON_CLOSED] = "send on closed channel",
        [MISUSE_CLOSE_OF_CLOSED] = "close of closed channel",
        [MISUSE_CLOSE_OF_NIL] = "close of nil channel",
        [MISUSE_USE_AFTER_FREE] = "use of freed channel",
    };
    return (unsigned)kind < MISUSE_KINDS ? texts[kind] : "unknown";
}

// The kept lock is held.
static void renew(void)
{
    for (unsigned i = 0; i < MISUSES_KEPT; i++) {
        kept[i].misuse.stack = intern_renew(&stack_table, kept[i].misuse.stack);
        kept[i].misuse.earlier = intern_renew(&stack_table, kept[i].misuse.earlier);
    }
}

static bool same_places(const struct kept *place, const struct misuse *misuse)
{
    return place->order && place->misuse.kind == misuse->kind &&
           place->misuse.stack == misuse->stack && place->misuse.earlier == misuse->earlier;
}

// Where this one is kept, or else the place to give up: an unused one, or what is longest ago.
static struct kept *place_of(const struct misuse *misuse)
{
    struct kept *oldest = &kept[0];
    for (unsigned i = 0; i < MISUSES_KEPT; i++) {
        if (same_places(&kept[i], misuse))
            return &kept[i];
        if (kept[i].order < oldest->order)
            oldest = &kept[i];
    }
    return oldest;
}

void misuse_record(enum misuse_kind kind, uint64_t channel, const char *name, stack_id stack,
                   stack_id earlier)
{
    if ((unsigned)kind >= MISUSE_KINDS)
        return;
    struct misuse misuse = {
        .kind = kind,
        .channel = channel,
        .task = taskprof_task_id(task_current()),
        .times = 1,
        .at_ns = clock_realtime_ns(),
        // Of the same generation as those that are kept, to be compared.
        .stack = intern_renew(&stack_table, stack),
        .earlier = intern_renew(&stack_table, earlier),
    };
    misuse.first_ns = misuse.at_ns;
    if (name)
        memcpy(misuse.name, name, strnlen(name, sizeof(misuse.name) - 1));
    lock_acquire(&kept_lock);
    counts[kind]++;
    renew();
    struct kept *place = place_of(&misuse);
    if (same_places(place, &misuse)) {
        misuse.first_ns = place->misuse.first_ns;
        misuse.times = place->misuse.times + 1;
    } else {
        forgotten += place->misuse.times;
    }
    *place = (struct kept){misuse, ++last_order};
    lock_release(&kept_lock);
}

void misuse_read(struct misuses *ret)
{
    struct sort_item order[MISUSES_KEPT];
    unsigned count = 0;
    lock_acquire(&kept_lock);
    for (unsigned i = 0; i < MISUSES_KEPT; i++)
        if (kept[i].order)
            order[count++] = (struct sort_item){.key = kept[i].order, .index = i};
    sort_descending(order, count);
    for (unsigned i = 0; i < count; i++)
        ret->latest[i] = kept[order[i].index].misuse;
    ret->kept = count;
    ret->forgotten = forgotten;
    memcpy(ret->counts, counts, sizeof(counts));
    lock_release(&kept_lock);
}

void misuse_renew(void)
{
    lock_acquire(&kept_lock);
    renew();
    lock_release(&kept_lock);
}

// In the child of a fork: a thread of the parent may have held it.
static void after_fork(void)
{
    lock_reset(&kept_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    fork_child_hook(after_fork);
}
