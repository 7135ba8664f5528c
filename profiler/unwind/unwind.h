// From saved registers to return addresses, by reading the task's own stack.
//
// No malloc, no lock of the loader, no system call once a code address was met before: its rule
// (where the caller's registers lie) is compiled once from .eh_frame and kept in a table that is
// read without a lock.

#pragma once

#include "profiler/arch/regs.h"
#include "profiler/unwind/stack.h"

// The stack memory that an unwind may read: addresses [low, high). `copy` is NULL to read in place
// (the caller guarantees that it stays mapped), else a copy of that range.
struct unwind_view {
    uintptr_t low;
    uintptr_t high;
    const void *copy;
};

// Bits of `known`: which saved registers hold the task's values. pc and sp always must.
#define UNWIND_ALL_KNOWN ((1u << ARCH_SAVED) - 1)

// Writes at most `max` return addresses, the leaf (regs->pc) first, and returns how many; *ret_end
// says why it ended (enum stack_end). The memory may change while it is read: the result is then
// garbage, but reads stay inside the view and it always ends. Any thread.
// `pc_is_exact`: regs->pc is an interrupted instruction and not a return address.
unsigned unwind(const struct arch_regs *regs, unsigned known, bool pc_is_exact,
                const struct unwind_view *view, uintptr_t *frames, unsigned max, unsigned *ret_end);

// The calling thread's own stack from `regs` (see arch_capture) up, interned; at most
// STACK_CREATION_DEPTH frames. `high` is the top of the stack that the caller runs on, 0 if not
// known (it is then looked up; that may cost a system call the first time).
stack_id unwind_here(const struct arch_regs *regs, uintptr_t high);

// For a thread that knows its stack: all from `low` up to its descriptor. The others are looked up
// when first needed, in all mappings of the process.
void unwind_own_stack(uintptr_t low);

// In the child of a fork: locks that a thread of the parent held are free again.
void unwind_after_fork(void);
