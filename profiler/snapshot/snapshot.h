// A snapshot: an immutable picture of every task and channel, taken while all of them run.
//
// Everything an encoder needs is in it, or reachable from it through tables (stack_get,
// channel_class_get, symbols) that keep what it refers to until it is freed. Encoders are pure
// functions of a snapshot: they never look at a live registry and take no lock.

#pragma once

#include "profiler/base/budget.h"
#include "profiler/base/epoch.h"
#include "profiler/base/memory.h"
#include "profiler/channels/channel.h"
#include "profiler/unwind/maps.h"
#include "profiler/unwind/stack.h"

#include <taskprof/park.h>
#include <taskprof/task.h>

// What a task was doing at the instant of the cut.
enum task_activity {
    TASK_PARKED,      // in a park
    TASK_RUNNING,     // on a processor, or ready for one
    TASK_IN_SYSCALL,  // blocked in a system call outside any park
    TASK_NOT_STARTED, // created, not yet run
    TASK_SUSPENDED,   // a coroutine that is neither parked nor known to run
    TASK_UNREADABLE,  // /proc would not say
};

#define SNAPSHOT_NO_CHANNEL UINT32_MAX

// Upper bounds of the age histogram's buckets: 1 s, 10 s, 1 min, 10 min, 1 h, 1 day, and all above.
enum { SNAPSHOT_AGES = 7 };
extern const uint64_t snapshot_age_limits_ns[SNAPSHOT_AGES - 1];

// Tasks that share {activity, reason, stack, creation stack, channel class, system call}.
struct snapshot_group {
    stack_id stack;
    stack_id creation;
    uint32_t channel_class; // channel_class_get; 0: none
    uint32_t channel;       // index in snapshot->channels of the one that all wait on;
                            // SNAPSHOT_NO_CHANNEL: none, or not the same
    uint16_t activity;      // enum task_activity
    uint16_t reason;        // enum taskprof_reason; of TASK_PARKED
    uint16_t syscall;       // number; of TASK_IN_SYSCALL
    uintptr_t object;       // what all wait on; 0: nothing, or not the same
    uint64_t count;
    uint64_t threads;     // of `count`: OS threads, the rest are coroutines
    uint64_t wait_sum_ns; // of TASK_PARKED
    uint64_t wait_max_ns;
    uint64_t oldest_task; // id of the one that waits longest (else of the first met)
    uint64_t stuck_since; // how many of them have waited since before snapshot->since_ns
    uint64_t ages[SNAPSHOT_AGES];
};

// What the tasks of a group are doing, in Go's words where it has them: "chan send", "running", …
// Every dump and label uses these. Static.
const char *snapshot_state_text(const struct snapshot_group *group);

// Whether this is such a text, in whatever case.
bool snapshot_is_state(const char *text);

// One task; only with SNAPSHOT_TASKS. 24 bytes: a million of them must fit into 32 MiB.
struct snapshot_task {
    uint64_t id;
    uint64_t wait_start_ns; // CLOCK_MONOTONIC; 0 when not parked
    uint32_t group;         // index in snapshot->groups
    uint32_t slot;          // for snapshot_task_details
};

// In snapshot_task.slot: the rest is a tid, not a slot's index.
#define SLOT_IS_TID 0x80000000u

struct snapshot_channel {
    uint64_t id;
    uintptr_t object;
    uint32_t channel_class;
    stack_id creation;
    uint64_t created_ns; // CLOCK_MONOTONIC
    uint64_t created_by;
    struct channel_reading reading;
    uint64_t senders;   // tasks that wait to send, selects among them
    uint64_t receivers; // likewise to receive
    uint64_t wait_sum_ns;
    uint64_t wait_max_ns;
    bool foreign; // a described queue, not a taskprof_chan
    bool found;   // likewise, found in memory by its type's description
    char name[TASKPROF_CHAN_NAME_SIZE];
};

// Who holds a lock, as far as that can be told.
enum lock_holder {
    LOCK_HOLDER_UNKNOWN,
    LOCK_HELD_BY_THREAD,
    LOCK_HELD_BY_ENDED,   // by a thread that is not there any more
    LOCK_HELD_ELSEWHERE,  // by a thread of another process
    LOCK_HELD_BY_READERS, // whose number alone is known
};

#define SNAPSHOT_NONE UINT32_MAX

// A lock that tasks wait for: a mutex or a reader-writer lock of libc's. What the application
// calls by these reasons and is none of libc's has no known holder.
struct snapshot_lock {
    uintptr_t object;
    uint64_t waiters;
    uint64_t owner_id;   // the task that holds it; 0: not known
    uint32_t owner_slot; // its snapshot_task.slot; SNAPSHOT_NONE
    uint32_t owner_task; // its index in task_list; SNAPSHOT_NONE: not there
    uint32_t owner_wait; // index in lock_waits of what it waits for itself; SNAPSHOT_NONE
    pid_t owner_tid;
    uint32_t readers;
    uint8_t holder; // enum lock_holder
    bool is_rwlock;
    bool abandoned; // its holder has ended, and it is certain that a task waits for it
};

struct snapshot_lock_wait {
    uint64_t id;            // the task
    uint64_t wait_start_ns; // CLOCK_MONOTONIC
    uint32_t slot;
    uint32_t group;    // index in groups
    uint32_t lock;     // index in locks; SNAPSHOT_NONE: the task went on meanwhile
    uint32_t deadlock; // index in deadlocks; SNAPSHOT_NONE
    bool behind; // not in that deadlock: it waits for one of its locks, or for a task that does
};

// Tasks each of which waits for a lock that the next one holds. A thread that waits for a lock that
// it holds itself is one of one task.
struct snapshot_deadlock {
    uint32_t first; // index in lock_waits; the next is its lock's owner_wait, and so on
    uint32_t count;
    uint64_t behind; // other tasks that wait for one of these locks, or for one of those tasks …
};

struct snapshot {
    struct arena arena;    // owns all below
    uint64_t time_ns;      // the cut, CLOCK_REALTIME
    uint64_t monotonic_ns; // the same instant, CLOCK_MONOTONIC
    uint64_t duration_ns;  // what taking it cost
    uint64_t since_ns;     // what stuck_since is counted from, CLOCK_MONOTONIC; 0: not asked

    uint64_t tasks;      // all but taskprof's own; the sum of the groups' counts
    uint64_t threads;    // of them
    uint64_t coroutines; // of them
    uint64_t parked;
    uint64_t moved;       // went on while their stack was read: counted as running, without stack
    uint64_t truncated;   // stacks that do not reach their task's start
    uint64_t unreadable;  // threads of which /proc would not tell
    uint64_t asked;       // running threads that were asked for their stacks (SNAPSHOT_RUNNING)
    uint64_t answered;    // of them
    uint64_t unasked;     // threads that ran at the cut and have no stack
    int ask_error;        // negative errno why none was: -ENOSYS too old a kernel, -EBUSY no signal
    int proc_error;       // negative errno why no thread's directory in /proc can be read
    int maps_error;       // likewise /proc/self/maps
    int unreadable_error; // likewise the files of one of the unreadable threads
    uint64_t created;     // tasks ever registered in this process

    struct misuses misuses; // of channels

    // Bounded tables of which something was left out.
    struct budget_report left_out[BUDGET_REPORTS];
    size_t left_out_count;

    struct epoch_hold hold; // on the stacks, classes, paths and symbols that it refers to

    struct snapshot_group *groups; // by count, most first
    size_t group_count;
    struct snapshot_task *task_list; // NULL without SNAPSHOT_TASKS; in the order of their slots
    size_t task_count;
    size_t task_list_bytes;            // mapped for task_list, outside the arena
    struct snapshot_channel *channels; // by number of waiters, most first
    size_t channel_count;
    uint32_t *channel_of_slot; // index in channels of what a task waits on; for task details
    uint32_t channel_slots;
    struct snapshot_lock *locks; // by address
    size_t lock_count;
    struct snapshot_lock_wait *lock_waits; // by slot
    size_t lock_wait_count;
    struct snapshot_deadlock *deadlocks;
    size_t deadlock_count;
    struct mapping *mappings; // executable ones, by address
    size_t mapping_count;
    unsigned main_mapping; // index of the main binary's
};

enum snapshot_flags {
    SNAPSHOT_TASKS = 1,   // fill task_list
    SNAPSHOT_RUNNING = 2, // ask running threads for their stacks, by a signal
};

// Takes a snapshot. `since_ns` (CLOCK_MONOTONIC, 0: none) is what stuck_since counts from.
// 0 and *ret; -ENOMEM. Any thread; one is taken at a time, others wait for it.
// No malloc, no signal, no lock that the application or the loader could hold.
int snapshot_take(unsigned flags, uint64_t since_ns, struct snapshot **ret);

// Gives stacks and classes of the groups of two snapshots the ids that they have now: what is the
// same in both then has the same id. For a comparison; the caller's alone, before an encoder sees
// them.
void snapshot_align(struct snapshot *one, struct snapshot *other);

void snapshot_free(struct snapshot *snapshot); // NULL is ignored

// The mapping that holds `address`; NULL: none does. Valid as long as the snapshot.
const struct mapping *snapshot_find_mapping(const struct snapshot *snapshot, uintptr_t address);

// The lock that a task waits for; NULL: none, or it went on. `ret_wait` may be NULL.
const struct snapshot_lock *snapshot_lock_of(const struct snapshot *snapshot,
                                             const struct snapshot_task *task,
                                             const struct snapshot_lock_wait **ret_wait);

// The lock at this address on which tasks wait; NULL: none.
const struct snapshot_lock *snapshot_find_lock(const struct snapshot *snapshot, uintptr_t object);

// Parts of a task that are not in the list, as they are now. false when the task is gone by now:
// a dump then says so rather than leave it out.
struct task_details {
    char name[TASKPROF_NAME_SIZE];
    uint64_t parent;
    uint64_t created_ns;
    pid_t tid;        // 0 for a coroutine
    uintptr_t object; // what it still waits on; 0: nothing, several, or it has gone on
    uint32_t channel; // index in snapshot->channels of the one channel that it still waits on;
                      // SNAPSHOT_NO_CHANNEL: none, several, or it has gone on
};
// For the details of many tasks: keeps /proc/self/task open. Zeroed at first; to be closed without
// delay, for it holds one of the application's descriptors.
struct details_reader {
    bool opened;
    int directory;
};

// `reader` NULL: without the names that only the kernel knows, "" instead.
bool snapshot_task_details(const struct snapshot *snapshot, const struct snapshot_task *task,
                           struct details_reader *reader, struct task_details *ret);
void snapshot_details_close(struct details_reader *reader);

void snapshot_after_fork(void);
