// The collector: what is kept between snapshots, and the one under way. Under one lock.

#pragma once

#include "profiler/base/lock.h"
#include "profiler/snapshot/capture.h"
#include "profiler/snapshot/confirm_park.h"
#include "profiler/snapshot/groups.h"
#include "profiler/snapshot/owners.h"
#include "profiler/snapshot/recent.h"
#include "profiler/snapshot/tally.h"
#include "profiler/snapshot/tids.h"
#include "profiler/snapshot/waiters.h"

// What is remembered of a thread that is not parked. One that has not run since (its count of time
// slices says so) has the stack that it had.
struct thread_seen {
    struct recent_entry entry; // its key is the tid
    uint64_t start_ticks;      // with the tid: this very thread
    uint64_t timeslices;
    uint64_t id;    // for a thread without a slot
    stack_id stack; // of one that sat in a system call: where, and in which; else 0
    uint16_t syscall;
};

struct collector {
    // Kept. The version grows when what tasks have cached (their group, their channel) is void. 0
    // is what tasks have that cached nothing.
    uint32_t version;
    struct groups groups;
    struct waiters waiters;
    struct recent threads; // thread_seen; a snapshot is a round
    struct capture capture;
    struct lock_candidates lock_candidates;
    struct confirm confirm;
    struct table asked;      // tid → stack, of running threads that answered
    struct table registered; // tids that have a slot, for the snapshot under way
    struct table starting;   // slots of threads that have none yet
    uint64_t round;          // of checks whether a cached park is still real

    // Of the snapshot under way.
    struct snapshot *snapshot;
    unsigned flags;
    pid_t self; // the thread that takes it, and where it does
    stack_id self_stack;
    int proc;         // /proc/self/task, or a negative errno
    struct tids tids; // listed before the registry was read
    uint32_t high;    // slots of tasks to look at
    struct tally tally;
    size_t not_started; // threads that were seen created and not yet running
    bool out_of_memory;
};

#define COLLECTOR_INIT(first_version)                                           \
    {                                                                           \
        .version = (first_version), .threads = RECENT_INIT(struct thread_seen), \
    }

// What tasks have cached of their group and channel is void from now on.
static inline void collector_void_caches(struct collector *collector)
{
    collector->version += collector->version == UINT32_MAX ? 2 : 1;
}

// One more task into the snapshot: its group's sums, its channel's, and the list if one is asked.
// Returns the group's number.
struct collected {
    struct group_key key;
    struct group_member member;
    uint32_t slot; // for snapshot_task.slot
    bool ran;      // it has run at least once; of a thread outside any park
};
uint32_t collect_task(struct collector *collector, const struct collected *task);

void collect_into_group(struct collector *collector, uint32_t number,
                        const struct group_member *member, uint32_t slot);

// A parked task whose group and channel are known.
static inline void collect_known(struct collector *collector, const struct tally_task *task,
                                 uint32_t slot)
{
    if (__builtin_expect(!tally_add(&collector->tally, task), 0))
        tally_single(collector, task, slot);
}

static inline uint64_t collect_wait_of(const struct collector *collector, uint64_t since_ns)
{
    uint64_t now = collector->snapshot->monotonic_ns;
    return since_ns < now ? now - since_ns : 0;
}

// The steps, in this order. A thread that starts meanwhile must be met once: tids_open comes
// first, so that it has no thread younger than the registry's; threads that were created and have
// not yet told their tid are looked at last but one; what is then still unknown never called the
// library.
void collect_registered(struct collector *collector);
void collect_starting(struct collector *collector);
void collect_strangers(struct collector *collector);

// Who holds what the tasks met so far wait for, and deadlocks among them. When all have been met.
void collect_owners(struct collector *collector);

// One task that has a slot, by the long way: pinned, its park read, its stack captured.
void collect_changed(struct collector *collector, struct taskprof_task *task);

// A task whose park and stack were read, of one instant. `waits` are those of a select. Remembers
// in the slot which group it belongs to.
void collect_parked(struct collector *collector, struct taskprof_task *task,
                    const struct park_record *record, stack_id stack,
                    const struct taskprof_wait *waits, unsigned waits_count,
                    struct collected *collected);

// A thread outside any park: what it does and where, into `ret`; an id too, if that has none.
// -ESRCH: it is gone.
int collect_thread(struct collector *collector, pid_t tid, struct collected *ret);
