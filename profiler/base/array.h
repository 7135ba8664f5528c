// Lists that grow by doubling, in memory of their own.

#pragma once

#include "profiler/base/memory.h"

#include <string.h>

// Room for one more element of `size` bytes behind the `count` that a list has: the list, which may
// have moved, and its new capacity. NULL when out of memory: list and capacity are as they were.
// A list without memory yet is NULL with capacity 0; it gets room for `first`. One owner at a time;
// given back with memory_unmap(list, capacity * size).
static inline void *array_grow(void *list, size_t count, size_t *capacity, size_t size,
                               size_t first)
{
    if (count < *capacity)
        return list;
    size_t more = *capacity ? *capacity * 2 : first;
    void *grown = memory_map(more * size);
    if (!grown)
        return NULL;
    if (count)
        memcpy(grown, list, count * size);
    memory_unmap(list, *capacity * size);
    *capacity = more;
    return grown;
}
