// The registry of tasks: one slot a task, and how a collector may look at it.
//
// Who writes what:
//   - the task itself (or its runtime, on its behalf): the park record, under `seq`;
//   - whoever registers a task: id, parent, name, stack bounds, creation stack, before `state` says
//     TASK_LIVE (release; pairs with the collector's acquire);
//   - the collector alone (under its lock): the fields named cached_*.
// A slot's memory is never unmapped.

#pragma once

#include "profiler/arch/regs.h"
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

// 192 bytes on x86-64, three cache lines: a park writes the first two.
struct taskprof_task {
    _Atomic uint64_t id; // first: the slab's link when free
    // The park record. `seq` is odd while parked. The owner writes the record, then seq (release);
    // unpark writes seq. A reader takes seq (acquire), reads, and takes seq again: the record's
    // fields are stored with release and loaded with acquire, which keeps both in order.
    _Atomic uint64_t seq;
    _Atomic uint64_t since_ns;  // CLOCK_MONOTONIC
    _Atomic uintptr_t object;   // what it waits on; for a select, the array of taskprof_wait
    _Atomic uint16_t reason;    // enum taskprof_reason
    _Atomic uint16_t waits;     // of a select
    _Atomic uint16_t depth;     // nested parks; the owner's alone
    _Atomic uint8_t state;      // enum task_state
    uint8_t kind;               // enum task_kind
    // A collector adds 1, then checks `state`; whoever ends the task sets TASK_ENDING, then waits
    // for 0. Both sequentially consistent: one of the two sees the other.
    _Atomic uint32_t pins;
    stack_id creation;
    uint32_t cached_seq; // low half of the seq for which the rest of the cache holds
    stack_id cached_stack;
    uint32_t cached_group;
    uint32_t cached_version;

    _Atomic uintptr_t regs[sizeof(struct arch_regs) / sizeof(uintptr_t)]; // struct arch_regs

    uint64_t parent; // id of the creator, 0: not known
    uint64_t created_ns;
    uintptr_t stack_high;   // first address behind the stack
    uint32_t stack_units;   // its size in units of 16 bytes
    _Atomic pid_t tid;      // of a thread; 0 for a coroutine
    const struct taskprof_scheduler *scheduler;
    void *context;
    // ISO C has no atomic strings: a name is two words, each read and written whole.
    _Atomic uint64_t name[TASKPROF_NAME_SIZE / 8];
} __attribute__((aligned(64)));

extern struct slab task_slab;

// The calling task for taskprof's own use: as taskprof_task_self.
struct taskprof_task *task_current(void);

// Marks the calling thread as taskprof's own, so that no profile shows it.
void task_mark_own(const char *name);

// A slot for a task that is about to run (state TASK_STARTING), its id, parent and creation stack
// filled in. NULL when out of memory. `task_abandon` gives it back if it never ran.
struct taskprof_task *task_new(enum task_kind kind, const char *name, stack_id creation);
void task_abandon(struct taskprof_task *task);

// Reads a name whole into a NUL-terminated string.
void task_name(const struct taskprof_task *task, char into[TASKPROF_NAME_SIZE]);

// A consistent copy of a park record.
struct park_record {
    uint64_t seq;
    uint64_t since_ns;
    uintptr_t object;
    uint16_t reason;
    uint16_t waits;
    struct arch_regs regs;
};

// Copies the record of a parked task. false: it is not parked, or changed while it was read.
bool park_read(const struct taskprof_task *task, struct park_record *ret);

// Pins a task's stack: true, and until task_unpin the task can't end. false: it is not live.
bool task_pin(struct taskprof_task *task);
void task_unpin(struct taskprof_task *task);

// An id for a task that has no slot (a thread that /proc alone knows).
uint64_t task_next_id(void);
