// Sorting without malloc, which qsort(3) may call.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct sort_item {
    uint64_t key;
    uint32_t index;
};

// Sorts by key, largest first; equal keys by index, smallest first. In place, O(n log n) always.
void sort_descending(struct sort_item *items, size_t count);
