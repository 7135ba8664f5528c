// Address ranges that may overlap, made into sorted ones that do not: a look-up is then one binary
// search, however the ranges of a hostile file lie. No malloc.

#pragma once

#include "profiler/base/memory.h"

#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t low;
    uint64_t high;   // first address behind it; at or below `low`: empty
    uint64_t origin; // where what this is a piece of starts
    uint32_t item;   // the caller's
    uint32_t rank;   // of two that start at one address the higher one wins
};

static inline struct range *ranges_of(const struct buffer *buffer)
{
    return (struct range *)(void *)buffer->data;
}

static inline size_t ranges_count(const struct buffer *buffer)
{
    return buffer->length / sizeof(struct range);
}

// Sorts a buffer of struct range by (low, rank). Stable. 0 or -ENOMEM.
int ranges_sort(struct buffer *ranges);

// Turns sorted ranges into disjoint ones. Where several cover an address, the one that starts last
// wins, then the one with the higher rank. 0 or -ENOMEM (the buffer is then as it was).
int ranges_flatten(struct buffer *ranges);

// The range that holds `address` among flattened ones; NULL if none does.
const struct range *ranges_find(const struct buffer *ranges, uint64_t address);
