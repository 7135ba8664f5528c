// Groups of tasks that look the same: the collector's running sums.
//
// Groups keep their numbers from one snapshot to the next, so that a task that has not changed adds
// itself to its group without a look-up. The collector's alone, under its lock.

#pragma once

#include "profiler/base/table.h"
#include "profiler/snapshot/snapshot.h"

#define GROUP_NONE UINT32_MAX

// What makes two tasks look the same.
struct group_key {
    stack_id stack;
    stack_id creation;
    uint32_t channel_class;
    uint16_t syscall;
    uint8_t activity;
    uint8_t reason;
};

struct group {
    struct group_key key;
    uint32_t next;         // the next one with the same hash
    uint32_t channel_slot; // of the channel that all so far wait on; see GROUP_* below
    uintptr_t object;      // what all so far wait on
    uint64_t count;
    uint64_t threads;
    uint64_t wait_sum_ns;
    uint64_t wait_max_ns;
    uint64_t oldest_task;
    uint64_t stuck_since;
    uint64_t ages[SNAPSHOT_AGES];
};

struct groups {
    struct group *list; // grows, may move: no pointer into it outlives groups_find
    size_t count;
    size_t capacity;
    uint32_t last;        // found last: most tasks are like the one before
    struct table by_hash; // hash of the key → number of the first group with it
};

// The number of the group with this key, made if there is none. GROUP_NONE: out of memory.
uint32_t groups_find(struct groups *groups, const struct group_key *key);

// One task more.
struct group_member {
    uint64_t id;
    uint64_t wait_ns;       // 0 when not parked
    uint64_t wait_start_ns; // likewise
    uintptr_t object;
    uint32_t channel_slot; // index in channel_slab, or GROUP_NONE
    bool is_thread;
};
void groups_add(struct group *group, const struct group_member *member, uint64_t since_ns);

// Several at once.
struct group_members {
    uint64_t count; // at least 1
    uint64_t threads;
    uint64_t wait_sum_ns;
    uint64_t wait_max_ns;
    uint64_t oldest_task; // of them, the one that waits longest
    uintptr_t object;     // 0: not the same of all
    uint32_t channel_slot;
    unsigned age; // of all; SNAPSHOT_AGES: they wait for nothing
    bool stuck;   // likewise
};
static inline void groups_add_members(struct group *group, const struct group_members *members)
{
    if (group->count == 0) {
        group->object = members->object;
        group->channel_slot = members->channel_slot;
        group->oldest_task = members->oldest_task;
    }
    group->count += members->count;
    group->threads += members->threads;
    if (group->object != members->object)
        group->object = 0;
    if (group->channel_slot != members->channel_slot)
        group->channel_slot = GROUP_NONE;
    group->wait_sum_ns += members->wait_sum_ns;
    if (members->wait_max_ns > group->wait_max_ns) {
        group->wait_max_ns = members->wait_max_ns;
        group->oldest_task = members->oldest_task;
    }
    if (members->age == SNAPSHOT_AGES)
        return;
    group->stuck_since += members->stuck ? members->count : 0;
    group->ages[members->age] += members->count;
}

// One, whose `age` and `stuck` are known.
static inline void groups_add_aged(struct group *group, const struct group_member *member,
                                   unsigned age, bool stuck)
{
    groups_add_members(group, &(struct group_members){
                                  .count = 1,
                                  .threads = member->is_thread,
                                  .wait_sum_ns = member->wait_ns,
                                  .wait_max_ns = member->wait_ns,
                                  .oldest_task = member->id,
                                  .object = member->object,
                                  .channel_slot = member->channel_slot,
                                  .age = age,
                                  .stuck = stuck,
                              });
}

// The index in ages of a wait.
static inline unsigned groups_age(uint64_t wait_ns)
{
    unsigned age = 0;
    while (age < SNAPSHOT_AGES - 1 && wait_ns >= snapshot_age_limits_ns[age])
        age++;
    return age;
}

// Sets all sums to zero. When most groups were empty, forgets all of them and returns true: numbers
// given before are void then.
bool groups_begin(struct groups *groups);

// Exports the groups that have members, most first, and turns the numbers of groups in task_list
// and lock_waits into their indexes there. After waiters_finish. 0 or -ENOMEM.
struct waiters;
int groups_finish(const struct groups *groups, const struct waiters *waiters,
                  struct snapshot *snapshot);

void groups_forget(struct groups *groups);
