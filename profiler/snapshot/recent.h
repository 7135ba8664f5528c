// What is remembered by key for as long as it is in use: what was not kept in a whole round is
// forgotten at its end.
//
// One owner at a time, no lock, no malloc. A round is whatever its owner makes one.

#pragma once

#include "profiler/base/table.h"

// What each entry begins with.
struct recent_entry {
    uint64_t key;
    uint64_t round; // in which it was kept last
};

struct recent {
    size_t size; // of an entry
    void *list;  // may move: no pointer into it outlives the next recent_keep or recent_begin
    size_t count;
    size_t capacity;
    struct table by_key; // → index in `list`
    uint64_t round;
};

#define RECENT_INIT(type)    \
    {                        \
        .size = sizeof(type) \
    }

// A new round begins: what was not kept in the one that ends is forgotten.
void recent_begin(struct recent *recent);

// The entry with this key; NULL: none. It is kept if its round is set to recent->round.
void *recent_find(const struct recent *recent, uint64_t key);

// The same, kept; if there was none, one that is zeroed but for its key. NULL: out of memory.
void *recent_keep(struct recent *recent, uint64_t key);
