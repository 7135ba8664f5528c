// Stacks of blocked tasks, read from outside.

#pragma once

#include "profiler/tasks/task.h"
#include "profiler/unwind/memo.h"
#include "profiler/unwind/unwind.h"

// Scratch memory of the collector; zeroed at first. Not thread-safe.
struct capture {
    uintptr_t frames[STACK_DEPTH_MAX];
    struct memo *memos; // MEMOS of them, by leaf and creation stack
    char *copy;         // of a stack's top, COPY_MAX bytes, mapped when first needed
    bool maps_are_fresh;
};

// A new snapshot begins: code that it meets may have been loaded since the last one.
void capture_begin(struct capture *capture);

// The stack of a parked task, pinned by the caller. A coroutine's is read in place, for its bounds
// are known; a thread's is copied first, which can't fault wherever it lies.
// 0: it could not be read at all.
stack_id capture_parked(struct capture *capture, const struct taskprof_task *task,
                        const struct park_record *record);

// The stack of a thread that sits in a system call, from what /proc tells of it.
stack_id capture_in_syscall(struct capture *capture, uintptr_t sp, uintptr_t pc);

// The objects of a select, at most `max` of them, from the task's own stack. How many were read.
unsigned capture_waits(const struct taskprof_task *task, const struct park_record *record,
                       struct taskprof_wait *into, unsigned max);
