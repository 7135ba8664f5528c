#include "profiler/symbols/symbol_modules.h"

#include "profiler/base/hash.h"
#include "profiler/base/lock.h"
#include "profiler/symbols/elf_symbols_load.h"

#include <string.h>

enum { MODULES_MAX = 8192 };

// Guards the list. Held while a module's symbol tables are read: milliseconds, and whoever waits
// needs names of modules too.
static struct lock modules_lock = LOCK_INIT;
static struct symbol_module *modules;
static unsigned module_count;
static struct arena module_memory;

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

static bool has_image(const struct mapping *mapping)
{
    return mapping->inode || strcmp(mapping->path, "[vdso]") == 0;
}

static struct symbol_module *load(const struct mapping *mapping, uint64_t key)
{
    struct symbol_module *module =
        module_count < MODULES_MAX ? arena_alloc(&module_memory, sizeof(*module)) : NULL;
    if (!module)
        return NULL;
    module_count++;
    module->key = key;
    module->mapping = *mapping;
    if (elf_symbols_load(mapping, &module->names) != 0)
        module->names = (struct elf_symbols){.bias = mapping->bias};
    module->next = modules;
    modules = module;
    return module;
}

struct symbol_module *symbol_modules_get(const struct mapping *mapping)
{
    if (!has_image(mapping))
        return NULL;
    uint64_t key = hash_mix(file_hash(mapping), mapping->bias);
    lock_acquire(&modules_lock);
    struct symbol_module *module = modules;
    while (module && module->key != key)
        module = module->next;
    if (!module)
        module = load(mapping, key);
    lock_release(&modules_lock);
    return module;
}

void symbol_modules_close_dwarf(void)
{
    struct dwarf_lines *lines;
    do {
        lines = NULL;
        lock_acquire(&modules_lock);
        for (struct symbol_module *module = modules; module && !lines; module = module->next) {
            if (atomic_load_explicit(&module->dwarf, memory_order_acquire) != MODULE_DWARF_OPEN)
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

void symbol_modules_after_fork(void)
{
    // The parent's DWARF thread may have been at work in any of them, and another thread in the
    // list. Their memory is shared with the parent until it is written to: it costs nothing.
    lock_reset(&modules_lock);
    modules = NULL;
    module_count = 0;
    module_memory = (struct arena){0};
}
