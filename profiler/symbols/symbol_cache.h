// The symbols that were looked up: address and place of the mapped file → symbol.
//
// They and their strings are kept in generations. When there is no room for more, a new one begins
// with nothing: what is still wanted is looked up again. The old one is given back when nobody can
// look at it any more (base/epoch.h).

#pragma once

#include "profiler/base/budget.h"
#include "profiler/base/lock.h"
#include "profiler/symbols/symbol_modules.h"
#include "profiler/symbols/symbols.h"

struct symbol_entry {
    struct symbol_entry *chain;
    uintptr_t address;
    uint64_t identity; // of what was mapped there
    const struct symbol *symbol;
    bool final;          // no more will be known
    uint32_t generation; // that it belongs to
    // Of the DWARF thread's queue:
    struct symbol_entry *next;
    struct symbol_module *module;
    uint64_t ticket; // 0: never asked
};

// A symbol that is being put together.
struct symbol_draft {
    uint32_t generation; // that its strings belong to: symbol_cache_generation before the first
    uintptr_t address;
    uintptr_t entry;
    unsigned count;
    bool has_lines;
    struct symbol_frame frames[DWARF_FRAMES_MAX]; // of kept strings
};

extern struct budget symbol_cache_budget; // of a generation, its strings apart

// Guards all below, the entries' fields, and the DWARF thread's queue.
extern struct lock symbol_cache_lock;

// The entry, or NULL. Under the lock.
struct symbol_entry *symbol_cache_find(uintptr_t address, uint64_t identity);

// The number of the generation that grows. Any thread.
uint32_t symbol_cache_generation(void);

// Whether there is no room for another entry, but for a new generation. Under the lock.
bool symbol_cache_is_due(void);

// Begins it. Nobody but those in a section or with a hold has entries of the old one. Under the
// lock.
void symbol_cache_turn(void);

// For the one thread that works on an entry for long, and may get stuck: it has no hold, which
// would keep all of taskprof's tables, but this generation alone. From symbol_cache_use, when it
// has an entry of the young one, to symbol_cache_used all entries and strings of that stay where
// they are. Under the lock.
void symbol_cache_use(void);
void symbol_cache_used(void);

// A new entry, of a pair that has none. NULL when it can't be kept, or the draft is not of this
// generation. Under the lock.
struct symbol_entry *symbol_cache_add(uintptr_t address, uint64_t identity,
                                      const struct symbol_draft *draft);

// Gives an entry a symbol made of this draft; without memory, or if one of the two is of an old
// generation, it keeps the one it has. Under the lock.
void symbol_cache_improve(struct symbol_entry *entry, const struct symbol_draft *draft);

// A symbol of which nothing is known, at no address.
extern const struct symbol symbol_cache_unknown;

void symbol_cache_after_fork(void);
