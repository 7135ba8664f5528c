#include "profiler/base/table.h"

#include "profiler/base/hash.h"
#include "profiler/base/memory.h"

#include <string.h>

enum { FIRST_CAPACITY = 256 };

static struct table_entry *slot_of(const struct table *table, uint64_t key)
{
    size_t at = hash_word(key) & (table->capacity - 1);
    while (table->entries[at].used && table->entries[at].key != key)
        at = (at + 1) & (table->capacity - 1);
    return &table->entries[at];
}

uint32_t table_get(const struct table *table, uint64_t key)
{
    if (!table->capacity)
        return TABLE_NONE;
    const struct table_entry *entry = slot_of(table, key);
    return entry->used ? entry->value : TABLE_NONE;
}

static bool grow(struct table *table)
{
    struct table old = *table;
    size_t capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
    struct table_entry *entries = memory_map_table(capacity * sizeof(*entries));
    if (!entries)
        return false;
    *table = (struct table){.entries = entries, .capacity = capacity, .count = old.count};
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].used)
            *slot_of(table, old.entries[i].key) = old.entries[i];
    memory_unmap(old.entries, old.capacity * sizeof(*entries));
    return true;
}

bool table_put(struct table *table, uint64_t key, uint32_t value)
{
    if ((table->count + 1) * 2 > table->capacity && !grow(table))
        return false;
    struct table_entry *entry = slot_of(table, key);
    table->count += !entry->used;
    *entry = (struct table_entry){.key = key, .value = value, .used = 1};
    return true;
}

void table_clear(struct table *table)
{
    if (table->count)
        memset(table->entries, 0, table->capacity * sizeof(*table->entries));
    table->count = 0;
}

void table_release(struct table *table)
{
    memory_unmap(table->entries, table->capacity * sizeof(*table->entries));
    *table = (struct table){0};
}
