// Stacks, each kept once: same frames, same id.

#pragma once

#include "profiler/base/intern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STACK_DEPTH_MAX = 512,     // frames of a parked task's stack, at most
    STACK_CREATION_DEPTH = 64, // of a creation stack: it is taken on the application's own stack
};

// Why a stack does not reach its task's start. 0 for one that does.
enum stack_end {
    STACK_WHOLE = 0,
    STACK_TOO_DEEP = 1,    // the depth limit
    STACK_NO_RULE = 2,     // code without unwind information and without a frame pointer
    STACK_BAD_FRAME = 4,   // a frame outside the task's stack, misaligned, or not above the last
    STACK_NO_REGISTER = 8, // the rule needs a register whose value is not known
    STACK_NOT_KEPT = 16,   // the table of stacks was full
};

// Return addresses, leaf first. The function and line of a frame are those of address - 1; where a
// frame was interrupted rather than calling (a signal's), 1 has been added so that this holds.
struct stack {
    uint32_t depth;
    uint32_t end; // enum stack_end bits; 0 is a whole stack
    uintptr_t frames[];
};

typedef uint32_t stack_id; // 0: no stack

// They are kept here, in generations: an id that is stored in a slot is renewed there by the
// collector (snapshot/renew.h) when the table turns. So who gets ids or stacks is in a section or
// has a hold of base/epoch.h for as long as he uses them, and until he has stored them.
extern struct intern stack_table;

// The id of these frames. depth ≤ STACK_DEPTH_MAX. Any thread; lock-free, no malloc. When the table
// is full, the id of a stack of depth 0 with end == STACK_NOT_KEPT comes back, and it is counted.
stack_id stack_intern(const uintptr_t *frames, unsigned depth, unsigned end);

// The stack behind an id. For 0 and unknown ids a stack of depth 0; never NULL.
const struct stack *stack_get(stack_id id);
