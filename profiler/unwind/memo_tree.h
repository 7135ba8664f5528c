// The tree of a memo, as its two halves share it: memo_learn.c makes it grow, memo.c walks it.

#pragma once

#include "profiler/unwind/memo.h"

#include <stdbool.h>

enum { MEMO_NODES = 65536 };

// Frames are aligned to at most this on any architecture. For each place that a stack pointer may
// have in it, there is a root.
enum { MEMO_ALIGN = 16, MEMO_ROOTS = MEMO_ALIGN / sizeof(uintptr_t) };

static inline uint32_t memo_root(uintptr_t sp)
{
    return sp / sizeof(uintptr_t) % MEMO_ROOTS;
}

// Where a word is that was read.
struct memo_where {
    uint32_t offset; // in bytes, from sp; of a register, in struct arch_regs
    uint16_t in_registers;
    uint16_t less_sp; // it is a frame pointer, of which the distance from sp counts
};

// What a walk reads of a node: what to look at, what was there the last time, and where that led.
struct memo_node {
    uintptr_t value; // of a leaf: its memo_lines
    const struct memo_node *next;
    struct memo_where where;
    uint32_t reach; // bytes above sp that must be there before the word is read, or MEMO_NO_WORD
    stack_id stack; // of a leaf, else 0
};

#define MEMO_NO_WORD UINT32_MAX

_Static_assert(sizeof(struct memo_node) == 32, "two in a cache line");

// Which branch a node is the end of.
struct memo_label {
    uintptr_t word;
    uint32_t from; // a node's number, perhaps with MEMO_TOP
};

// Together with a node's number: the branch for stacks that end before its word. How many bytes
// they have stands for the word then.
#define MEMO_TOP 0x80000000u

// The node behind a word, 0: none. No branch leads to a root.
uint32_t memo_branch(const struct memo *memo, uint32_t from, uintptr_t word);
