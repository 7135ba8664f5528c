// Which tasks of a snapshot a dump shows, and in which order.

#pragma once

#include "profiler/snapshot/snapshot.h"
#include "text/filter.h"

#include <sys/types.h>

struct pick {
    uint32_t *order; // indexes in task_list: by group, most tasks first
    size_t count;
    size_t bytes;      // mapped for `order`
    uint64_t left_out; // tasks, by limit=
    uint64_t excluded; // tasks, by the other filters
};

// Picks what the filter lets through. With a limit the groups share it fairly: one task of each, a
// second of each, and so on; where it is not enough for one of each, the groups with most tasks
// come first. Of a group those are picked that have waited longest, the longest first; without a
// limit its tasks stay in the order of their slots.
//
// 4 bytes a task that is picked, and 16 a group in the snapshot's arena. 0 or -ENOMEM.
int pick_tasks(struct snapshot *snapshot, const struct filter *filter, struct pick *ret);

// Adds to what is picked, once each, the tasks that hold what picked ones wait for, and the
// deadlocked ones of those that the limit left out. How many, or -ENOMEM.
ssize_t pick_holders(struct pick *pick, const struct snapshot *snapshot,
                     const struct filter *filter);

// Takes all others out of the snapshot's list, whose order stays. 0 or -ENOMEM.
int pick_apply(const struct pick *pick, struct snapshot *snapshot);

void pick_release(struct pick *pick);
