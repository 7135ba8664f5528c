// Stacks of parked threads, copied by the dozen: one system call reads those of the threads that
// the collector is about to meet.

#pragma once

#include "profiler/tasks/task.h"
#include "profiler/unwind/unwind.h"

// Copied at once, and of each: more when it was too little for one in four.
enum { STACKS_AHEAD = 64, STACK_AHEAD_MIN = 1024, STACK_AHEAD_MAX = 4096 };

// Zeroed at first. Belongs to the collector.
struct stacks_ahead {
    char *copies;   // STACKS_AHEAD of them, mapped when first needed
    uint32_t first; // slots from here up to `end` were looked at
    uint32_t end;
    unsigned count;    // of those that were copied, in the order of their slots
    unsigned next;     // where the next one is looked for
    size_t bytes;      // copied of each; kept from one snapshot to the next
    unsigned short_of; // stacks of which that was too little
    struct {
        uint32_t slot;
        uint64_t seq; // of the park in which the stack was copied
        uintptr_t sp;
        bool whole; // false: could not be read, or not so many bytes
    } of[STACKS_AHEAD];
};

// What was copied may be old from here on.
void stacks_ahead_begin(struct stacks_ahead *ahead);

// The top of a parked thread's stack, from its sp on, as it was in the park with
// this seq; whoever finds the seq unchanged afterwards knows that it is of one instant. false: it
// has to be copied by itself. Slots are to be asked for in their order.
bool stacks_ahead_get(struct stacks_ahead *ahead, uint32_t slot, uint64_t seq,
                      struct unwind_view *ret);

// The stack that was got last reaches further than what was copied of it.
void stacks_ahead_short(struct stacks_ahead *ahead);
