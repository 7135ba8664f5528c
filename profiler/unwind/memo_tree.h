// The tree of a memo, as its two halves share it: memo_learn.c makes it grow, memo.c walks it.

#pragma once

#include "profiler/unwind/memo.h"

#include <stdbool.h>

enum { MEMO_NODES = 1 << 17, MEMO_FORKS = 1 << 15 };

// Frames are aligned to at most this on any architecture. For each place that a stack pointer may
// have in it, there is a root.
enum { MEMO_ALIGN = 16, MEMO_ROOTS = MEMO_ALIGN / sizeof(uintptr_t) };

static inline uint32_t memo_root(uintptr_t sp)
{
    return sp / sizeof(uintptr_t) % MEMO_ROOTS;
}

struct memo_node {
    uintptr_t value;        // the word that was met last; of a leaf: its memo_lines
    struct memo_node *next; // where that led; NULL: nothing was read
    uint32_t offset;        // of the word, in bytes, from sp; or in struct arch_regs,
    uint8_t in_registers;   // if it is one
    uint8_t less_sp;        // it is a frame pointer, of which the distance from sp counts
    uint16_t fork;          // by which its branches are found; 0: there is but one
    uint32_t reach; // bytes above sp that must be there before the word is read, or MEMO_NO_WORD
    stack_id stack; // of a leaf, else 0
};

#define MEMO_NO_WORD UINT32_MAX

_Static_assert(sizeof(struct memo_node) == 32, "two in a cache line");

// What a branch is found by. On both architectures addresses have at most so many bits, unless a
// program asks for more: those are not kept.
#define MEMO_WORD_BITS 48

// In place of a word: the stack ends before it, and has so many bytes.
static inline uint64_t memo_top_key(const struct memo_node *node, size_t room)
{
    return (uint64_t)(node->fork | MEMO_FORKS) << MEMO_WORD_BITS | room;
}

static inline uint64_t memo_word_key(const struct memo_node *node, uintptr_t word)
{
    return (uint64_t)node->fork << MEMO_WORD_BITS | word;
}
