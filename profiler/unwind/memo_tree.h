// The tree of a memo, as its two halves share it: memo_learn.c makes it grow, memo.c walks it.

#pragma once

#include "profiler/unwind/memo.h"

#include <stdbool.h>

// What a node asks for: a word of the stack at this offset from sp, as it is or less sp (in a frame
// pointer the distance counts); or one of those below.
enum {
    MEMO_LESS_SP = 1 << 28,
    MEMO_REGISTER = 1 << 29,  // the word at this offset in struct arch_regs
    MEMO_ALIGNMENT = 1 << 30, // of sp
    MEMO_UNKNOWN,             // no unwind read on
    MEMO_STACK,               // nothing: it is `next`
    MEMO_OFFSETS = MEMO_LESS_SP - 1,
};

// Frames are aligned to at most this on any architecture.
enum { MEMO_ALIGN = 16, MEMO_ROOT = 0, MEMO_NODES = 65536 };

// Together with a node: the branch for stacks that end before its word. How many bytes they have
// stands for the word then.
#define MEMO_TOP 0x80000000u

struct memo_node {
    uintptr_t value; // the word that was met last; of a leaf: its memo_lines
    uint32_t next;   // and where it led; of a leaf: the stack
    uint32_t where;
    uint32_t reach;  // bytes above sp that must be there, or the stack ends before the word
    uint32_t parent; // whose word this one is behind,
    uintptr_t label; // and which
};

_Static_assert(sizeof(struct memo_node) == 32, "two in a cache line");

// The node behind a word, 0: none.
uint32_t memo_branch(const struct memo *memo, uint32_t node, uintptr_t word);
