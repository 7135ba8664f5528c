// Whether threads really are in the parks on record. A park may have been left by longjmp: its
// thread then runs, or waits elsewhere, and the record stays. The kernel can tell, but to ask it
// costs opening and reading a file for each thread, more than all the rest of reading its park.
//
// So all are asked about where there are few of them; of many new ones one in CONFIRM_SHARE, the
// others in the snapshots to come, as many in each. Once a park was found to have been left, the
// program is one that does such things, and all are asked about from then on. A thread that has
// ended is not among the process's threads: those that are missing there are always asked about.

#pragma once

#include "profiler/tasks/task.h"

struct collector;

enum { CONFIRM_FEW = 64, CONFIRM_SHARE = 16 };

// Kept by the collector; zeroed at first.
struct confirm {
    struct {
        uint32_t slot;
        uint32_t seq; // low half
    } * later;        // parks that were believed, to be asked about
    size_t count;
    size_t capacity;
    bool always;  // a park was found to have been left
    size_t asked; // in this snapshot
};

// Asks about those of earlier snapshots whose turn it is. One that was left loses what is cached of
// it, so that it is collected anew.
void confirm_begin(struct collector *collector);

// Whether this new park of a thread is to be asked about in this snapshot; else it is noted for
// another one.
bool confirm_now(struct collector *collector, const struct taskprof_task *task, pid_t tid,
                 const struct park_record *record);

// What is asked about: the park of `task` with this seq, which the thread `tid` made at `sp`.
struct confirm_park {
    const struct taskprof_task *task;
    pid_t tid;
    uint64_t seq;
    uintptr_t sp;
    bool is_call;
};

// The park that a task is in, or was a moment ago. false: none.
bool confirm_park_of(const struct taskprof_task *task, struct confirm_park *ret);

// Whether the thread is in it: 1 or 0. One that has left it shows it by its sp (see
// stack_bounds.h); a call that has not blocked, or not yet, runs. Where the kernel doesn't say, the
// record is believed. -EAGAIN: it has made another one meanwhile, or none. -ESRCH: the thread is
// gone.
int confirm_ask(struct collector *collector, const struct confirm_park *park);
