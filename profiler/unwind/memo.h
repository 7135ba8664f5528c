// Stacks that look like one that was unwound before are recognised, not unwound.
//
// A million coroutines that wait in the same place have the same frames at the same distances from
// their stack pointers. Which word an unwind reads next depends on nothing but those that it has
// read: return addresses, and frame pointers by their distance from the stack pointer. So what
// unwinds have read is kept as a tree. Each node says which word comes next, each branch what that
// word was, each leaf which stack it is. One walk from the root compares a stack with all known
// ones: where it ends in a leaf, every step of an unwind would have come out the same.

#pragma once

#include "profiler/base/table.h"
#include "profiler/unwind/unwind.h"

struct memo_node;

// A zeroed struct knows nothing. One owner at a time.
struct memo {
    struct memo_node *nodes;
    uint32_t count;
    uint32_t forks;        // nodes that lead to more than one other
    uint32_t generation;   // maps_generation for which all of it holds
    struct table branches; // of a fork and a word: the node behind it
    uint64_t lines[64];    // by code address: see memo_lines
};

// The stack of a parked task (all registers known, pc a return address) if it looks like one that
// was learnt, else 0. Reads the view as unwind does: the caller checks afterwards that the task did
// not go on.
stack_id memo_match(struct memo *memo, const struct arch_regs *regs,
                    const struct unwind_view *view);

// Learns from an unwind that was just done and found this stack; reads the view once more. One that
// is not whole, or whose unwind depended on what can't be compared, is not learnt. When there are
// too many, all are forgotten first.
void memo_learn(struct memo *memo, const struct arch_regs *regs, const struct unwind_view *view,
                stack_id id);

// A guess at what memo_match will read of the stack of a task that waits at `pc`: bit i is for the
// cache line that is i lines above the one with its sp.
static inline uint64_t *memo_lines(struct memo *memo, uintptr_t pc)
{
    return &memo->lines[(pc ^ pc >> 6) % 64];
}

void memo_forget(struct memo *memo);
