#include "profiler/snapshot/deadlocks.h"

#include <errno.h>

// What is known of a wait while chains are followed.
enum {
    NOT_MET = SNAPSHOT_NONE,
    // Else: the number of the walk that met it first, which is the wait that this began at.
};

struct finding {
    struct snapshot *snapshot;
    uint32_t *met_by; // of each wait
};

static void note_cycle(struct finding *finding, uint32_t first)
{
    struct snapshot *snapshot = finding->snapshot;
    uint32_t number = (uint32_t)snapshot->deadlock_count++;
    struct snapshot_deadlock *deadlock = &snapshot->deadlocks[number];
    *deadlock = (struct snapshot_deadlock){.first = first};
    uint32_t at = first;
    do {
        snapshot->lock_waits[at].deadlock = number;
        deadlock->count++;
        at = deadlocks_next(snapshot, at);
    } while (at != first);
}

// Follows the chain from `start` to a wait that was met before, or to its end. A wait that this
// same walk met is on a cycle.
static uint32_t walk(struct finding *finding, uint32_t start, bool *ret_cycle)
{
    uint32_t at = start;
    while (at != SNAPSHOT_NONE && finding->met_by[at] == NOT_MET) {
        finding->met_by[at] = start;
        at = deadlocks_next(finding->snapshot, at);
    }
    *ret_cycle = at != SNAPSHOT_NONE && finding->met_by[at] == start;
    return at;
}

// All from `start` to the first that is known to be in a deadlock, or behind one, are behind it.
static void note_behind(struct finding *finding, uint32_t start, uint32_t number)
{
    struct snapshot *snapshot = finding->snapshot;
    for (uint32_t at = start; snapshot->lock_waits[at].deadlock == SNAPSHOT_NONE;
         at = deadlocks_next(snapshot, at)) {
        snapshot->lock_waits[at].deadlock = number;
        snapshot->lock_waits[at].behind = true;
        snapshot->deadlocks[number].behind++;
    }
}

int deadlocks_find(struct snapshot *snapshot, bool (*is_real)(void *context, uint32_t first),
                   void *context)
{
    size_t count = snapshot->lock_wait_count;
    struct finding finding = {.snapshot = snapshot};
    snapshot->deadlock_count = 0;
    for (size_t i = 0; i < count; i++)
        snapshot->lock_waits[i].deadlock = SNAPSHOT_NONE;
    if (count == 0)
        return 0;
    finding.met_by = arena_alloc(&snapshot->arena, count * sizeof(*finding.met_by));
    // A cycle has at least one wait of its own.
    snapshot->deadlocks = arena_alloc(&snapshot->arena, count * sizeof(*snapshot->deadlocks));
    if (!finding.met_by || !snapshot->deadlocks)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        finding.met_by[i] = NOT_MET;
    for (uint32_t i = 0; i < count; i++) {
        bool cycle;
        if (finding.met_by[i] != NOT_MET)
            continue;
        uint32_t end = walk(&finding, i, &cycle);
        if (cycle && (!is_real || is_real(context, end)))
            note_cycle(&finding, end);
        if (end != SNAPSHOT_NONE && snapshot->lock_waits[end].deadlock != SNAPSHOT_NONE)
            note_behind(&finding, i, snapshot->lock_waits[end].deadlock);
    }
    return 0;
}
