// Stacks of blocked tasks, read from outside.
//
// In two steps: a stack is read into the scratch memory; once it is known that the task did not go
// on meanwhile, it is kept. A torn one never gets into the table of stacks, which only grows.

#pragma once

#include "profiler/snapshot/stacks_ahead.h"
#include "profiler/tasks/task.h"
#include "profiler/unwind/memo.h"
#include "profiler/unwind/unwind.h"

// Scratch memory of the collector; zeroed at first. Not thread-safe.
struct capture {
    // The stack that was read last.
    uintptr_t frames[STACK_DEPTH_MAX];
    unsigned depth;
    unsigned end;
    stack_id known; // it was recognised as this one, and `frames` says nothing; else 0
    bool in_place;  // the memo may learn from it
    struct arch_regs regs;
    struct unwind_view view;

    struct memo memo;
    char *copy; // of a stack's top, COPY_MAX bytes, mapped when first needed
    struct stacks_ahead ahead;
    bool maps_are_fresh;
    int maps_error; // of the last time that mappings were read
};

// A new snapshot begins: code that it meets may have been loaded since the last one.
void capture_begin(struct capture *capture);

// Before the first read of a stack in a snapshot, and before anything is pinned: learns what code
// is mapped, which may take a while.
void capture_prepare(struct capture *capture);

// The stack of a parked task, pinned or watched by the caller, if it is a coroutine's that is
// known; else 0. Takes less than a microsecond.
static inline stack_id capture_recognise(struct capture *capture, const struct taskprof_task *task,
                                         const struct park_record *record)
{
    struct unwind_view view = {.low = record->regs.sp, .high = task->stack_high};
    return task_owns_stack(task, view.low) ? memo_match(&capture->memo, &record->regs, &view) : 0;
}

// Reads the stack of a parked task, pinned by the caller. A coroutine's is read in place, from its
// sp up, for its upper bound is known and what lies above sp is there; a thread's is copied first,
// which can't fault wherever it lies.
void capture_parked(struct capture *capture, const struct taskprof_task *task,
                    const struct park_record *record);

// Reads the stack of a thread that sits in a system call, from what /proc tells of it.
void capture_in_syscall(struct capture *capture, uintptr_t sp, uintptr_t pc);

// The stack of a thread that told its registers, from a copy of `length` bytes from its sp up.
void capture_copy(struct capture *capture, const struct arch_regs *regs, const void *copy,
                  size_t length);

// Keeps the stack that was read; of a coroutine, which must still be pinned. A stack that could not
// be read at all has no frames and says STACK_BAD_FRAME.
stack_id capture_keep(struct capture *capture);

// The objects of a select, at most `max` of them, from the task's own stack. How many were read.
unsigned capture_waits(const struct taskprof_task *task, const struct park_record *record,
                       struct taskprof_wait *into, unsigned max);
