// The registry of tasks: one slot a task, and how a collector may look at it.
//
// Who writes what:
//   - the task itself (or its runtime, on its behalf): the park record, under `seq`;
//   - whoever registers a task: id, parent, name, stack bounds, creation stack, before `state` says
//     TASK_LIVE (release; pairs with the collector's acquire);
//   - the collector alone (under its lock): the fields named cached_*, and a new id for the
//   creation
//     stack when the table of stacks has turned.
// A slot's memory is never unmapped.

#pragma once

#include "profiler/arch/regs.h"
#include "profiler/base/epoch.h"
#include "profiler/base/slab.h"
#include "profiler/unwind/stack.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <taskprof/park.h>
#include <taskprof/task.h>

enum task_state {
    TASK_FREE,
    TASK_STARTING, // has its slot, does not run yet
    TASK_LIVE,
    TASK_ENDING, // waits for pins to go
};

enum task_kind {
    TASK_THREAD,
    TASK_COROUTINE,
    TASK_OWN, // taskprof's own thread: in no profile
};

// One park in kind_and_depth: the kind takes the bits below.
enum { TASK_DEPTH = 4 };

// In the record's reason: of a call that may not have blocked at all.
#define TASK_REASON_CALL 0x80u

// 192 bytes on x86-64, three cache lines: a park writes the first two, a collector that finds
// nothing changed reads the first alone.
struct taskprof_task {
    _Atomic uint64_t id; // first: the slab's link when free
    // The park record. `seq` is odd while parked, and never goes back, not even when the slot gets
    // its next task. The owner writes the record, then seq (release); unpark writes seq. A reader
    // takes seq (acquire), reads, and takes seq again: the record's fields are stored with release
    // and loaded with acquire, which keeps both in order.
    _Atomic uint64_t seq;
    _Atomic uint64_t since_ns; // CLOCK_MONOTONIC
    _Atomic uintptr_t object;  // what it waits on; for a select, the array of taskprof_wait
    _Atomic uint16_t waits;    // of a select
    // A collector adds 1, then checks `state`; whoever ends the task sets TASK_ENDING, then waits
    // for 0. Both sequentially consistent: one of the two sees the other. See also task_watch.
    _Atomic uint16_t pins;
    _Atomic uint8_t reason; // enum taskprof_reason, with TASK_REASON_CALL
    _Atomic uint8_t state;  // enum task_state
    // enum task_kind, and nested parks in units of TASK_DEPTH. Written by the owner alone.
    _Atomic uint16_t kind_and_depth;
    stack_id creation;
    uint32_t cached_seq; // low half of the seq for which cached_stack holds
    stack_id cached_stack;
    uint32_t cached_group; // with cached_channel: holds for cached_seq and cached_version
    // Slot << 1 | send, or TABLE_NONE. A dump reads it too, and checks since_ns: relaxed.
    _Atomic uint32_t cached_channel;
    uint32_t cached_version;

    _Atomic uintptr_t regs[sizeof(struct arch_regs) / sizeof(uintptr_t)]; // struct arch_regs

    uint64_t parent; // id of the creator, 0: not known
    uint64_t created_ns;
    uintptr_t stack_high; // first address behind its stack; see stack_bounds.h for a thread's
    // Of a thread its tid, of a coroutine its stack's size in units of 16 bytes: see task_tid and
    // task_stack_size.
    _Atomic uint32_t tid_or_units;
    uint32_t slot; // its own index in task_slab
    union {
        struct { // of a coroutine: what lets channels block it
            const void *scheduler;
            void *context;
        };
        struct {                    // of a thread
            void *(*start)(void *); // while it is starting, like its argument
            union {
                void *argument;
                _Atomic uintptr_t stack_low; // once it runs: see stack_bounds.h
            };
        } thread;
    };
    // ISO C has no atomic strings: a name is two words, each read and written whole.
    _Atomic uint64_t name[TASKPROF_NAME_SIZE / 8];
} __attribute__((aligned(64)));

extern struct slab task_slab;

static inline enum task_kind task_kind(const struct taskprof_task *task)
{
    unsigned both = atomic_load_explicit(&task->kind_and_depth, memory_order_relaxed);
    return (enum task_kind)(both % TASK_DEPTH);
}

// 0 for a coroutine, and for a thread that has not started.
static inline pid_t task_tid(const struct taskprof_task *task)
{
    uint32_t tid = atomic_load_explicit(&task->tid_or_units, memory_order_relaxed);
    return task_kind(task) == TASK_COROUTINE ? 0 : (pid_t)tid;
}

// 0 for a thread: it is not read in place, for it may be given back at any time.
static inline size_t task_stack_size(const struct taskprof_task *task)
{
    uint32_t units = atomic_load_explicit(&task->tid_or_units, memory_order_relaxed);
    return task_kind(task) == TASK_COROUTINE ? (size_t)units * 16 : 0;
}

// Whether this address is on a coroutine's own stack. false for a thread.
static inline bool task_owns_stack(const struct taskprof_task *task, uintptr_t address)
{
    return address < task->stack_high && task->stack_high - address <= task_stack_size(task);
}

// The calling task for taskprof's own use: as taskprof_task_self.
struct taskprof_task *task_current(void);

// Marks the calling thread as taskprof's own, so that no profile shows it.
void task_mark_own(const char *name);

// A slot for a task that is about to run, in state TASK_STARTING, with its id, its parent (the
// calling task) and what is given here filled in. NULL when out of memory.
struct taskprof_task *task_new(enum task_kind kind, const char *name, stack_id creation);

// The task runs, or may run, from now on.
void task_live(struct taskprof_task *task);

// The task is over: waits until no collector looks at it, and gives its slot back.
// -EINVAL when it was not starting or live (ended twice).
int task_end(struct taskprof_task *task);

// The stack of the caller (see arch_capture), for "created at" and the like; interned. A section of
// base/epoch.h has begun then, for the caller to leave when he has stored the id where the
// collector renews it; in it nobody else's code runs, and nothing is waited for but locks of
// taskprof's own.
stack_id task_stack_here(const struct arch_regs *regs, uint64_t *ret_section);

// Reads a name whole into a NUL-terminated string.
void task_name(const struct taskprof_task *task, char into[TASKPROF_NAME_SIZE]);

// A consistent copy of a park record.
struct park_record {
    uint64_t seq;
    uint64_t since_ns;
    uintptr_t object;
    uint16_t waits;
    uint8_t reason;
    bool is_call; // made by taskprof_park_call: a wait only if the kernel says that it blocks
    struct arch_regs regs;
};

// Copies the record of a parked task. false: it is not parked, or changed while it was read.
bool park_read(const struct taskprof_task *task, struct park_record *ret);

// Pins a task: true, and until task_unpin it can't end. false: it is neither starting nor live.
bool task_pin(struct taskprof_task *task);
void task_unpin(struct taskprof_task *task);

// A pin for all tasks of one run of TASK_RUN slots at once, for the one collector that is at work:
// from task_watch to task_unwatch none of them that task_watched_live says yes to can end. A pin
// costs as much as all else that is done to a task; so it is for what takes longer, and this is for
// what takes less than a microsecond a task.
enum { TASK_RUN = 16 };
void task_watch(uint32_t slot);
void task_unwatch(void);
static inline bool task_watched_live(const struct taskprof_task *task)
{
    // Sequentially consistent: pairs with task_end, as task_pin does.
    return atomic_load(&task->state) == TASK_LIVE;
}

void task_set_name(struct taskprof_task *task, const char *name);

// An id for a task that has no slot (a thread that /proc alone knows).
uint64_t task_next_id(void);

// How many ids were given.
uint64_t task_ids(void);
