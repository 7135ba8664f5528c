// A profile's string table: each text once, "" at index 0, all of it valid UTF-8.

#pragma once

#include "profiler/base/memory.h"
#include "proto/index.h"

#include <stdint.h>

// A zeroed struct is a table without even "": add that first. Not thread-safe.
struct string_table {
    struct arena *arena; // for texts that had to be copied
    struct index index;
    struct buffer texts; // of const char *; .failed says that the table ran out of memory
};

// The index of a text, which must live as long as the table. Bytes that are not UTF-8 become '?'.
// 0 when out of memory, and texts.failed is set.
int64_t string_table_add(struct string_table *table, const char *text);
// The same for a text that may change after the call: it is copied if it is new.
int64_t string_table_add_copy(struct string_table *table, const char *text);

uint32_t string_table_count(const struct string_table *table);
const char *string_table_get(const struct string_table *table, uint32_t index);
void string_table_release(struct string_table *table);
