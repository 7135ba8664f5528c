#include "profiler/base/clock.h"
#include "profiler/symbols/dwarf_thread.h"
#include "profiler/symbols/symbol_cache.h"
#include "profiler/symbols/symbol_draft.h"
#include "profiler/symbols/symbols.h"
#include "profiler/tasks/fork.h"

#include <errno.h>

static const uint64_t REFRESH_NS = 1000000000;

// Where an address lies. Neighbours in a list of addresses are often neighbours in memory too.
struct finder {
    struct mapping mapping; // of the last address; empty if it was in none
    uint64_t identity;
    struct symbol_module *module;
    bool has_module; // `module` was looked up
};

// Addresses that are nowhere must not make every call read all mappings again: once a second.
static bool may_refresh(void)
{
    static _Atomic uint64_t last;
    uint64_t now = clock_monotonic_ns();
    uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);
    return (before == 0 || now - before > REFRESH_NS) &&
           atomic_compare_exchange_strong_explicit(&last, &before, now, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static void find(struct finder *finder, uintptr_t address)
{
    uintptr_t place = address - 1;
    if (place >= finder->mapping.start && place < finder->mapping.limit)
        return;
    finder->module = NULL;
    finder->has_module = false;
    bool found = maps_find(place, &finder->mapping);
    if (!found && may_refresh())
        found = maps_refresh() == 0 && maps_find(place, &finder->mapping);
    if (!found)
        finder->mapping = (struct mapping){0};
    finder->identity = found ? symbol_modules_identity(&finder->mapping) : 0;
}

static struct symbol_module *module_of(struct finder *finder)
{
    if (!finder->has_module && finder->mapping.limit)
        finder->module = symbol_modules_get(&finder->mapping);
    finder->has_module = true;
    return finder->module;
}

// When there is no room in the cache, a new generation begins. What the DWARF thread was asked goes
// with the old one. Under the lock.
static void make_room(void)
{
    if (!symbol_cache_is_due())
        return;
    dwarf_thread_forget();
    symbol_cache_turn();
}

static struct symbol_entry *add_named(struct finder *finder, uintptr_t address)
{
    struct symbol_draft draft;
    symbol_draft_names(module_of(finder), address, &draft);
    lock_acquire(&symbol_cache_lock);
    // Another thread may have been faster.
    struct symbol_entry *entry = symbol_cache_find(address, finder->identity);
    if (!entry)
        entry = symbol_cache_add(address, finder->identity, &draft);
    lock_release(&symbol_cache_lock);
    return entry;
}

// Asks the DWARF thread for what is still unknown, if there is one: *ticket is then what to wait
// for.
static const struct symbol *look_up(struct finder *finder, uintptr_t address, uint64_t *ticket)
{
    find(finder, address);
    lock_acquire(&symbol_cache_lock);
    struct symbol_entry *entry = symbol_cache_find(address, finder->identity);
    const struct symbol *symbol = entry ? entry->symbol : NULL;
    bool final = entry && entry->final;
    if (!entry)
        make_room();
    lock_release(&symbol_cache_lock);
    if (final)
        return symbol;
    struct symbol_module *module = module_of(finder);
    // There was no room for the module: that is no knowledge to keep.
    if (!module && finder->mapping.limit && symbol_modules_has_image(&finder->mapping))
        return symbol ? symbol : &symbol_cache_unknown;
    if (!entry)
        entry = add_named(finder, address);
    if (!entry)
        return &symbol_cache_unknown;

    bool no_dwarf =
        !module || atomic_load_explicit(&module->dwarf, memory_order_acquire) == MODULE_DWARF_NONE;
    lock_acquire(&symbol_cache_lock);
    if (no_dwarf)
        entry->final = true;
    else if (!entry->final && ticket && dwarf_thread_runs() &&
             entry->generation == symbol_cache_generation()) {
        uint64_t asked = dwarf_thread_ask(entry, module);
        if (asked > *ticket)
            *ticket = asked;
    }
    symbol = entry->symbol;
    lock_release(&symbol_cache_lock);
    return symbol;
}

int symbols_resolve(const uintptr_t *addresses, size_t count, const struct symbol **ret)
{
    int saved = errno;
    int result = 0;
    uint32_t generation;
    fork_child_hook(symbols_after_fork);
    // What was asked is forgotten when the cache turns meanwhile: then again. Not for ever, for
    // there may be more addresses than there is room.
    for (int attempt = 0; attempt < 2; attempt++) {
        struct finder finder = {0};
        uint64_t ticket = 0;
        result = 0;
        generation = symbol_cache_generation();
        for (size_t i = 0; i < count; i++)
            ret[i] = look_up(&finder, addresses[i], &ticket);
        if (ticket) {
            result = dwarf_thread_wait(ticket);
            for (size_t i = 0; i < count; i++)
                ret[i] = look_up(&finder, addresses[i], NULL);
        }
        if (symbol_cache_generation() == generation)
            break;
    }
    errno = saved;
    return result;
}

void symbols_ask(const uintptr_t *addresses, size_t count)
{
    struct finder finder = {0};
    uint64_t ticket = 0;
    for (size_t i = 0; i < count; i++)
        look_up(&finder, addresses[i], &ticket);
}

void symbols_after_fork(void)
{
    symbol_cache_after_fork();
    symbol_modules_after_fork();
    dwarf_thread_after_fork();
}
