#include "proto/index.h"

#include "profiler/base/memory.h"

#include <errno.h>

enum { FIRST_CAPACITY = 512 };

bool index_next(const struct index *index, uint64_t hash, size_t *step, uint32_t *ret_value)
{
    if (index->capacity == 0)
        return false;
    for (;;) {
        uint64_t slot = index->slots[((uint32_t)hash + (*step)++) & (index->capacity - 1)];
        if (slot == 0)
            return false;
        if (slot >> 32 == (uint32_t)hash) {
            *ret_value = (uint32_t)slot - 1;
            return true;
        }
    }
}

static void put(uint64_t *slots, size_t capacity, uint64_t slot)
{
    size_t at = (slot >> 32) & (capacity - 1);
    while (slots[at])
        at = (at + 1) & (capacity - 1);
    slots[at] = slot;
}

int index_add(struct index *index, uint64_t hash, uint32_t value)
{
    // Never more than half full: index_next relies on meeting an empty slot soon.
    if (index->used * 2 >= index->capacity) {
        size_t capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
        uint64_t *slots = memory_map_table(capacity * sizeof(*slots));
        if (!slots)
            return -ENOMEM;
        for (size_t i = 0; i < index->capacity; i++)
            if (index->slots[i])
                put(slots, capacity, index->slots[i]);
        memory_unmap(index->slots, index->capacity * sizeof(*slots));
        index->slots = slots;
        index->capacity = capacity;
    }
    put(index->slots, index->capacity, (uint64_t)(uint32_t)hash << 32 | (value + 1));
    index->used++;
    return 0;
}

void index_release(struct index *index)
{
    memory_unmap(index->slots, index->capacity * sizeof(*index->slots));
    *index = (struct index){0};
}
