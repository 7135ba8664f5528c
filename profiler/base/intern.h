// A set of byte strings that only grows: the same bytes always get the same 32-bit id.
//
// Stacks, names and channel classes are kept here once, however many tasks share them. Look-up and
// insertion take no lock, so that an application thread that notes where it creates a task never
// waits for a snapshot. Memory is bounded by the limit given at the start; when it is used up, new
// strings get INTERN_FULL and are counted, old ones go on as before.

#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INTERN_NONE = 0, // the id of the empty string, and of "no value"
    INTERN_FULL = 1, // the id of everything that came after the limit
};

enum { INTERN_BUCKETS = 1 << 16, INTERN_CHUNKS = 4096, INTERN_CHUNK_BYTES = 1 << 20 };

// Zero-initialised plus `limit` is a ready table; it allocates at the first insertion.
struct intern {
    size_t limit;                          // bytes of strings and headers, at most
    _Atomic(_Atomic uint32_t *) buckets;   // INTERN_BUCKETS chain heads
    _Atomic(char *) chunks[INTERN_CHUNKS]; // each INTERN_CHUNK_BYTES, never moves, never freed
    _Atomic uint64_t used;                 // next free byte, in units of 8
    _Atomic uint64_t rejected;             // strings turned away at the limit
};

// The id of these bytes. length ≤ 65,535. Any thread, lock-free; INTERN_FULL when out of memory.
uint32_t intern(struct intern *table, const void *bytes, size_t length);

// The bytes behind an id, aligned to 8, valid for ever; *ret_length their number. For INTERN_NONE,
// INTERN_FULL and ids that were never given: NULL and 0.
const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_length);

// Bytes mapped for strings so far, the table itself left out.
size_t intern_bytes(const struct intern *table);
