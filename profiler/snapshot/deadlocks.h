// Deadlocks among the waits of one snapshot: a pure function of its locks and waits.

#pragma once

#include "profiler/snapshot/snapshot.h"

// Each wait leads to at most one other: to that of the task that holds its lock. Finds the cycles
// and sets snapshot->deadlocks and the waits' `deadlock`. `is_real` has the last word on a cycle,
// by the index of its first wait, before it is taken; NULL takes all. 0 or -ENOMEM.
// Time and memory grow with the waits alone.
int deadlocks_find(struct snapshot *snapshot, bool (*is_real)(void *context, uint32_t first),
                   void *context);

// The wait that comes next in a chain, SNAPSHOT_NONE at its end.
static inline uint32_t deadlocks_next(const struct snapshot *snapshot, uint32_t wait)
{
    uint32_t lock = snapshot->lock_waits[wait].lock;
    return lock == SNAPSHOT_NONE ? SNAPSHOT_NONE : snapshot->locks[lock].owner_wait;
}
