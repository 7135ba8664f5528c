// Tasks in a row that belong to the same group and wait on the same channel: what they add to its
// sums is added up in registers, and goes to the group when another one follows. Most tasks are
// like the one before.

#pragma once

#include "profiler/snapshot/groups.h"

struct collector;

struct tally {
    uint32_t group;   // GROUP_NONE: no task is in it
    uint32_t channel; // as taskprof_task.cached_channel
    uint64_t count;
    uint64_t threads;
    uint64_t start_sum;
    uint64_t oldest_start;
    uint64_t oldest_task;
    uintptr_t object;
    bool same_object;
    // Waits that began in [low, low + span) share these.
    uint64_t low;
    uint64_t span;
    unsigned age; // index in snapshot_group.ages
    bool stuck;   // counted in stuck_since
    // Of the last one that was collected by itself.
    uint32_t last_group;
    unsigned last_age;
    bool last_stuck;
};

// What is known of a parked task by its slot's first line.
struct tally_task {
    uint32_t group;
    uint32_t channel;
    uint64_t id;
    uint64_t start_ns; // of its wait
    uintptr_t object;
    bool is_thread;
};

void tally_begin(struct tally *tally);

// Gives what was added up to its group and channel.
void tally_flush(struct collector *collector);

// A task that tally_add refused. Two in a row that are alike begin a new tally.
void tally_single(struct collector *collector, const struct tally_task *task, uint32_t slot);

// false: it is not like those before.
static inline bool tally_add(struct tally *tally, const struct tally_task *task)
{
    if (task->group != tally->group || task->channel != tally->channel ||
        task->start_ns - tally->low >= tally->span)
        return false;
    tally->count++;
    tally->threads += task->is_thread;
    tally->start_sum += task->start_ns;
    tally->same_object &= task->object == tally->object;
    if (task->start_ns < tally->oldest_start) {
        tally->oldest_start = task->start_ns;
        tally->oldest_task = task->id;
    }
    return true;
}
