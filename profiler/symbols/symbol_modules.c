#include "profiler/symbols/symbol_modules.h"

#include "profiler/base/budget.h"
#include "profiler/base/epoch.h"
#include "profiler/base/hash.h"
#include "profiler/base/lock.h"
#include "profiler/symbols/elf_symbols_load.h"
#include "profiler/unwind/picture.h"

#include <string.h>

struct budget symbol_modules_budget = BUDGET_INIT(
    "symbol tables", "functions of these files are shown by addresses", (size_t)512 << 20);

// Guards all below. Held while a module's symbol tables are read: milliseconds, and whoever waits
// needs names of modules too.
static struct lock modules_lock = LOCK_INIT;
static struct symbol_module *modules;
static struct symbol_module *retired; // their files are not mapped any more
static size_t bytes;                  // of both
static uint32_t pruned_generation;    // of the maps
// Whether a retired one has its DWARF open. Relaxed: the DWARF thread looks again.
static _Atomic bool any_to_close;

static uint64_t file_hash(const struct mapping *mapping)
{
    uint64_t hash = hash_mix(mapping->device, mapping->inode);
    hash = hash_mix(hash, hash_bytes(mapping->build_id, mapping->build_id_length));
    return hash_mix(hash, mapping->inode ? 0 : hash_bytes(mapping->path, strlen(mapping->path)));
}

uint64_t symbol_modules_identity(const struct mapping *mapping)
{
    return hash_mix(file_hash(mapping), mapping->start);
}

bool symbol_modules_has_image(const struct mapping *mapping)
{
    return mapping->inode || strcmp(mapping->path, "[vdso]") == 0;
}

static uint64_t key_of(const struct mapping *mapping)
{
    return hash_mix(file_hash(mapping), mapping->bias);
}

static bool is_open(const struct symbol_module *module)
{
    return atomic_load_explicit(&module->dwarf, memory_order_acquire) == MODULE_DWARF_OPEN;
}

// Moves to `retired` what is not mapped any more.
static void prune(void)
{
    uint32_t generation = maps_generation();
    if (generation == pruned_generation)
        return;
    pruned_generation = generation;
    struct symbol_module **link = &modules;
    struct symbol_module *first = retired;
    while (*link) {
        struct symbol_module *module = *link;
        struct mapping now;
        if (maps_find(module->mapping.start, &now) && key_of(&now) == module->key) {
            link = &module->next;
            continue;
        }
        *link = module->next;
        module->next = retired;
        retired = module;
        if (is_open(module))
            atomic_store_explicit(&any_to_close, true, memory_order_relaxed);
    }
    uint64_t ticket = epoch_retire();
    for (struct symbol_module *module = retired; module != first; module = module->next)
        module->ticket = ticket;
}

// Gives back those that nobody looks at any more.
static void give_back(void)
{
    struct symbol_module **link = &retired;
    while (*link) {
        struct symbol_module *module = *link;
        // It may have been opened since.
        if (is_open(module))
            atomic_store_explicit(&any_to_close, true, memory_order_relaxed);
        // In this order: who could have pinned it has gone with the ticket. Acquire: pairs with the
        // release of who has answered, and may have opened it.
        if (!epoch_passed(module->ticket) ||
            atomic_load_explicit(&module->pins, memory_order_acquire) || is_open(module)) {
            link = &module->next;
            continue;
        }
        *link = module->next;
        bytes -= module->bytes;
        elf_symbols_release(&module->names);
        memory_unmap(module, sizeof(*module) + strlen(module->mapping.path) + 1);
    }
}

static struct symbol_module *load(const struct mapping *mapping, uint64_t key)
{
    size_t path = strlen(mapping->path) + 1;
    // Nor one whose path had no room: it comes again when there is some.
    bool has_path = !mapping->inode || mapping->path[0];
    struct symbol_module *module =
        has_path && bytes < symbol_modules_budget.limit ? memory_map(sizeof(*module) + path) : NULL;
    if (!module) {
        budget_leave_out(&symbol_modules_budget);
        return NULL;
    }
    module->key = key;
    module->mapping = *mapping;
    module->mapping.path = memcpy(module + 1, mapping->path, path);
    if (elf_symbols_load(&module->mapping, &module->names) != 0)
        module->names = (struct elf_symbols){.bias = mapping->bias};
    module->bytes =
        sizeof(*module) + path + module->names.ranges.capacity + module->names.strings.size;
    bytes += module->bytes;
    module->next = modules;
    modules = module;
    return module;
}

struct symbol_module *symbol_modules_get(const struct mapping *mapping)
{
    if (!symbol_modules_has_image(mapping))
        return NULL;
    uint64_t key = key_of(mapping);
    lock_acquire(&modules_lock);
    prune();
    give_back();
    struct symbol_module *module = modules;
    while (module && module->key != key)
        module = module->next;
    if (!module)
        module = load(mapping, key);
    lock_release(&modules_lock);
    return module;
}

// Closes the DWARF of those in the list of which that is open.
static void close_all(struct symbol_module *const *list)
{
    struct dwarf_lines *lines;
    do {
        lines = NULL;
        lock_acquire(&modules_lock);
        for (struct symbol_module *module = *list; module && !lines; module = module->next) {
            if (!is_open(module))
                continue;
            lines = module->lines;
            module->lines = NULL;
            atomic_store_explicit(&module->dwarf, MODULE_DWARF_UNKNOWN, memory_order_release);
        }
        lock_release(&modules_lock);
        // Not under the lock: it calls free, which may be stuck.
        dwarf_lines_close(lines);
    } while (lines);
}

void symbol_modules_close_retired(void)
{
    if (atomic_exchange_explicit(&any_to_close, false, memory_order_relaxed))
        close_all(&retired);
}

void symbol_modules_close_dwarf(void)
{
    close_all(&modules);
    close_all(&retired);
}

void symbol_modules_after_fork(void)
{
    // The parent's DWARF thread may have been at work in any of them, and another thread in the
    // list. Their memory is shared with the parent until it is written to: it costs nothing.
    lock_reset(&modules_lock);
    modules = retired = NULL;
    bytes = 0;
    atomic_store_explicit(&any_to_close, false, memory_order_relaxed);
}
