// Tasks that wait for locks, as the collector meets them; afterwards collect_owners asks each lock
// who holds it.

#pragma once

#include "profiler/snapshot/groups.h"

// Of the reasons, those that a lock of libc's can have.
static inline bool owners_is_lock(uint8_t reason)
{
    return reason == TASKPROF_MUTEX_LOCK || reason == TASKPROF_RWLOCK_RLOCK ||
           reason == TASKPROF_RWLOCK_LOCK;
}

struct lock_candidate {
    uint64_t id;
    uint64_t wait_start_ns;
    uint64_t seq; // of its park, odd; 0: it went on before it was looked at again
    uintptr_t object;
    uint32_t slot;
    uint32_t group; // number in the collector's groups
};

struct lock_candidates {
    struct lock_candidate *list; // kept between snapshots
    size_t count;
    size_t capacity;
};

void owners_begin(struct lock_candidates *candidates);

// One task more that waits for a lock. false: out of memory.
bool owners_note(struct lock_candidates *candidates, const struct group_member *member,
                 uint32_t slot, uint32_t group);
