// The symbols that were looked up: address and place of the mapped file → symbol, for ever.

#pragma once

#include "profiler/base/lock.h"
#include "profiler/symbols/symbol_modules.h"
#include "profiler/symbols/symbols.h"

struct symbol_entry {
    struct symbol_entry *chain;
    uintptr_t address;
    uint64_t identity; // of what was mapped there
    const struct symbol *symbol;
    bool final; // no more will be known
    // Of the DWARF thread's queue:
    struct symbol_entry *next;
    struct symbol_module *module;
    uint64_t ticket; // 0: never asked
};

// A symbol that is being put together.
struct symbol_draft {
    uintptr_t address;
    uintptr_t entry;
    unsigned count;
    bool has_lines;
    struct symbol_frame frames[DWARF_FRAMES_MAX]; // of kept strings
};

// Guards all below, the entries' fields, and the DWARF thread's queue.
extern struct lock symbol_cache_lock;

// The entry, or NULL. Under the lock.
struct symbol_entry *symbol_cache_find(uintptr_t address, uint64_t identity);

// A new entry, of a pair that has none. NULL when it can't be kept. Under the lock.
struct symbol_entry *symbol_cache_add(uintptr_t address, uint64_t identity,
                                      const struct symbol_draft *draft);

// Gives an entry a symbol made of this draft; without memory it keeps the one it has. Under the
// lock.
void symbol_cache_improve(struct symbol_entry *entry, const struct symbol_draft *draft);

// A symbol of which nothing is known, at no address.
extern const struct symbol symbol_cache_unknown;

void symbol_cache_after_fork(void);
