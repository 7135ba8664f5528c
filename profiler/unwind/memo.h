// Stacks that look like one that was unwound before are recognised, not unwound.
//
// A million coroutines that wait in the same place have the same frames at the same distances from
// their stack pointers. What an unwind of one of them depended on (the return addresses it met, and
// where the frame pointers it used pointed to) is kept, and compared with the next one's stack: if
// all of it is equal, every step of its unwind would be too.

#pragma once

#include "profiler/unwind/unwind.h"

enum { MEMO_CHECKS = 48 };

// A word that must be the same. In `where`, an offset from sp, or MEMO_REGISTER and an index in
// arch_regs.saved. If `from_sp`, it is compared as a distance from sp.
struct memo_check {
    uint32_t where;
    bool from_sp;
    uintptr_t value;
};

#define MEMO_REGISTER 0x80000000u

// A zeroed struct fits nothing. One owner at a time.
struct memo {
    uintptr_t pc;
    stack_id stack;
    uint32_t generation; // maps_generation
    uint32_t reach;      // bytes above sp that are looked at
    uint32_t sp_low;     // sp's distance from the alignment that frames must have
    unsigned count;
    struct memo_check checks[MEMO_CHECKS];
};

// The stack of a parked task (all registers known, pc a return address) if it looks like the
// memo's, else 0. Reads the view as unwind does: the caller checks afterwards that the task did not
// go on.
stack_id memo_match(const struct memo *memo, const struct arch_regs *regs,
                    const struct unwind_view *view);

// Learns from an unwind that was just done and found this stack. One that is not whole, or whose
// unwind depended on more than can be kept, leaves the memo empty.
void memo_learn(struct memo *memo, const struct arch_regs *regs, const struct unwind_view *view,
                stack_id id);
