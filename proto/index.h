// Finds entries of a growing table by their content: a hash of it leads to the entries' numbers,
// and the caller compares. A zeroed struct is an empty index. Not thread-safe.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index {
    uint64_t *slots; // (hash << 32) | (value + 1), 0 when empty
    size_t capacity; // a power of two
    size_t used;
};

// The next value that was added with this hash: true and *ret_value, or false when there is no
// other. *step starts at 0 and is the search's own.
bool index_next(const struct index *index, uint64_t hash, size_t *step, uint32_t *ret_value);

// Adds a value below UINT32_MAX. 0 or -ENOMEM.
int index_add(struct index *index, uint64_t hash, uint32_t value);

void index_release(struct index *index);
