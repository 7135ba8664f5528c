#include "profiler/snapshot/recent.h"

#include "profiler/base/array.h"

#include <string.h>

enum { FIRST_ENTRIES = 128 };

static struct recent_entry *entry_at(const struct recent *recent, size_t index)
{
    return (void *)((char *)recent->list + index * recent->size);
}

void recent_begin(struct recent *recent)
{
    size_t kept = 0;
    for (size_t i = 0; i < recent->count; i++) {
        if (entry_at(recent, i)->round != recent->round)
            continue;
        if (kept != i)
            memcpy(entry_at(recent, kept), entry_at(recent, i), recent->size);
        kept++;
    }
    recent->round++;
    if (kept == recent->count)
        return;
    recent->count = kept;
    table_clear(&recent->by_key);
    // As many as there were fitted: there is room.
    for (size_t i = 0; i < kept; i++)
        table_put(&recent->by_key, entry_at(recent, i)->key, (uint32_t)i);
}

void *recent_find(const struct recent *recent, uint64_t key)
{
    uint32_t at = table_get(&recent->by_key, key);
    return at == TABLE_NONE ? NULL : entry_at(recent, at);
}

static struct recent_entry *add(struct recent *recent, uint64_t key)
{
    void *list =
        array_grow(recent->list, recent->count, &recent->capacity, recent->size, FIRST_ENTRIES);
    if (!list)
        return NULL;
    recent->list = list;
    if (!table_put(&recent->by_key, key, (uint32_t)recent->count))
        return NULL;
    struct recent_entry *entry = entry_at(recent, recent->count++);
    memset(entry, 0, recent->size);
    entry->key = key;
    return entry;
}

void *recent_keep(struct recent *recent, uint64_t key)
{
    struct recent_entry *entry = recent_find(recent, key);
    if (!entry)
        entry = add(recent, key);
    if (entry)
        entry->round = recent->round;
    return entry;
}
