// What the last snapshots learnt of threads that are not parked: their ids and stacks, by tid.
//
// A thread that has not run since (its count of time slices says so) has the stack it had.

#pragma once

#include "profiler/base/table.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/unwind/stack.h"

struct thread_seen {
    pid_t tid;
    uint64_t start_ticks;
    uint64_t timeslices;
    uint64_t id;    // for a thread without a slot
    stack_id stack; // of one that sat in a system call: where, and in which
    uint16_t syscall;
};

struct threads_seen {
    struct thread_seen *list; // of the snapshot under way
    size_t count;
    size_t capacity;
    struct thread_seen *old; // of the one before
    size_t old_count;
    size_t old_capacity;
    struct table old_by_tid; // → index in `old`
};

// Makes what was noted the memory, and begins a new list.
void threads_seen_begin(struct threads_seen *seen);

// What is remembered of this very thread (same tid, same start); NULL: nothing.
const struct thread_seen *threads_seen_find(const struct threads_seen *seen, pid_t tid,
                                            uint64_t start_ticks);

// Notes a thread for the next snapshot. Out of memory, it is forgotten.
void threads_seen_note(struct threads_seen *seen, const struct thread_seen *thread);

void threads_seen_forget(struct threads_seen *seen);
