// What a dump of tasks shows besides: who holds what others wait for.

#include "text/pick.h"

#include <errno.h>
#include <string.h>

struct adding {
    const struct snapshot *snapshot;
    const struct filter *filter;
    struct pick *pick;
    bool *picked; // of each task in the list
    uint32_t *order;
    size_t room;
};

static bool passes(const struct adding *adding, uint32_t task)
{
    const struct snapshot *snapshot = adding->snapshot;
    const struct snapshot_task *shown = &snapshot->task_list[task];
    return filter_group(adding->filter, &snapshot->groups[shown->group]) &&
           filter_task(adding->filter, snapshot, shown);
}

static void add(struct adding *adding, uint32_t task)
{
    struct pick *pick = adding->pick;
    if (adding->picked[task] || pick->count == adding->room)
        return;
    adding->picked[task] = true;
    adding->order[pick->count++] = task;
    *(passes(adding, task) ? &pick->left_out : &pick->excluded) -= 1;
}

// The deadlocked tasks that the filters let through, whatever the limit.
static void add_deadlocked(struct adding *adding)
{
    const struct snapshot *snapshot = adding->snapshot;
    for (size_t i = 0; i < snapshot->deadlock_count; i++) {
        uint32_t at = snapshot->deadlocks[i].first;
        for (uint32_t left = snapshot->deadlocks[i].count; left > 0; left--) {
            const struct snapshot_lock *lock = &snapshot->locks[snapshot->lock_waits[at].lock];
            uint32_t owner = lock->owner_task;
            at = lock->owner_wait;
            if (owner != SNAPSHOT_NONE && passes(adding, owner))
                add(adding, owner);
        }
    }
}

ssize_t pick_holders(struct pick *pick, const struct snapshot *snapshot,
                     const struct filter *filter)
{
    if (pick->count == snapshot->task_count || snapshot->lock_count == 0)
        return 0;
    size_t before = pick->count;
    struct adding adding = {
        .snapshot = snapshot,
        .filter = filter,
        .pick = pick,
        .room = pick->count + snapshot->lock_count,
    };
    adding.picked = memory_map(snapshot->task_count);
    adding.order = memory_map(adding.room * sizeof(*adding.order));
    if (!adding.picked || !adding.order) {
        memory_unmap(adding.picked, snapshot->task_count);
        memory_unmap(adding.order, adding.room * sizeof(*adding.order));
        return -ENOMEM;
    }
    if (before)
        memcpy(adding.order, pick->order, before * sizeof(*adding.order));
    for (size_t i = 0; i < before; i++)
        adding.picked[pick->order[i]] = true;
    memory_unmap(pick->order, pick->bytes);
    pick->order = adding.order;
    pick->bytes = adding.room * sizeof(*adding.order);
    add_deadlocked(&adding);
    // What was added may wait for a lock itself: the list grows while it is read.
    for (size_t i = 0; i < pick->count; i++) {
        const struct snapshot_lock *lock =
            snapshot_lock_of(snapshot, &snapshot->task_list[pick->order[i]], NULL);
        if (lock && lock->owner_task != SNAPSHOT_NONE)
            add(&adding, lock->owner_task);
    }
    memory_unmap(adding.picked, snapshot->task_count);
    return (ssize_t)(pick->count - before);
}
