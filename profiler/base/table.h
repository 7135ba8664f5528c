// An open-addressing hash table from a 64-bit key to a 32-bit value, in memory of its own.
//
// One owner at a time, no lock, no malloc. A zeroed struct is an empty table. Keys are removed all
// at once or not at all.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX // no value; can't be stored

struct table_entry {
    uint64_t key;
    uint32_t value;
    uint32_t used;
};

struct table {
    struct table_entry *entries;
    size_t capacity; // a power of two
    size_t count;
};

// The key's value, or TABLE_NONE.
uint32_t table_get(const struct table *table, uint64_t key);

// Sets a key's value. false when out of memory.
bool table_put(struct table *table, uint64_t key, uint32_t value);

// Empties the table and keeps its memory.
void table_clear(struct table *table);

void table_release(struct table *table);
