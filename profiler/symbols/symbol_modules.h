// What is mapped, seen as modules: a file at one place, with its names and its DWARF.

#pragma once

#include "profiler/base/budget.h"
#include "profiler/symbols/dwarf_lines.h"
#include "profiler/symbols/elf_symbols.h"
#include "profiler/unwind/maps.h"

#include <stdatomic.h>

extern struct budget symbol_modules_budget; // of their names

enum module_dwarf {
    MODULE_DWARF_UNKNOWN, // nobody looked yet
    MODULE_DWARF_OPEN,
    MODULE_DWARF_NONE,
};

struct symbol_module {
    struct symbol_module *next;
    // Questions about it that the DWARF thread has not answered, and its own: such a module stays.
    // Counted up by who has a hold, or has counted already.
    _Atomic uint32_t pins;
    uint64_t key;
    uint64_t ticket;          // of one that has retired
    size_t bytes;             // mapped for it and its names
    struct mapping mapping;   // with a path of its own
    struct elf_symbols names; // empty if there are none
    // Written by the DWARF thread alone, with release: who acquires MODULE_DWARF_NONE knows that
    // names are all there will ever be.
    _Atomic int dwarf;
    struct dwarf_lines *lines; // the DWARF thread's; with MODULE_DWARF_OPEN
};

// Whether a mapping has an image that symbols could be read from.
bool symbol_modules_has_image(const struct mapping *mapping);

// The module of a mapping, its names loaded. NULL when it has no file, nor is the vdso, or when
// there is no memory, or no room in the budget. Any thread that has a hold (base/epoch.h): a module
// is given back when its file is not mapped any more, and nobody can look at it.
struct symbol_module *symbol_modules_get(const struct mapping *mapping);

// Where the mapped code, of which this is a piece, is: what a cached name must not outlive.
uint64_t symbol_modules_identity(const struct mapping *mapping);

// As above: `pins`.
static inline void symbol_modules_pin(struct symbol_module *module)
{
    atomic_fetch_add_explicit(&module->pins, 1, memory_order_relaxed);
}

static inline void symbol_modules_unpin(struct symbol_module *module)
{
    // Release: pairs with symbol_modules.c, which then gives it back.
    atomic_fetch_sub_explicit(&module->pins, 1, memory_order_release);
}

// Closes the DWARF of modules whose files are not mapped any more. On the DWARF thread, while it is
// at work on none.
void symbol_modules_close_retired(void);

// Closes the DWARF of all modules; their state is then MODULE_DWARF_UNKNOWN. On the
// DWARF thread.
void symbol_modules_close_dwarf(void);

// In the child of a fork: all modules are loaded anew.
void symbol_modules_after_fork(void);
