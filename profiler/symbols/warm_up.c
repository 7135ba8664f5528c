#include "profiler/symbols/warm_up.h"

#include "profiler/arch/capture.h"
#include "profiler/base/epoch.h"
#include "profiler/base/safe_read.h"
#include "profiler/symbols/dwarf_sections.h"
#include "profiler/symbols/dwarf_thread.h"
#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/symbols.h"
#include "profiler/tasks/fork.h"
#include "profiler/unwind/unwind.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/auxv.h>

enum { STACK_COPIED = 16 << 10, FRAMES_MAX = 64 };

// A stack, copied because its owner goes on meanwhile: unwinding reads files for the first time.
struct stack_copy {
    struct arch_regs regs;
    size_t length;
    char bytes[STACK_COPIED];
};

// Release by who leaves a copy here, acquire by who takes it out.
static _Atomic(struct stack_copy *) pending;

static void copy_stack(struct stack_copy *copy)
{
    ssize_t got = safe_read(copy->regs.sp, copy->bytes, sizeof(copy->bytes));
    copy->length = got > 0 ? (size_t)got : 0;
}

static void put(struct stack_copy *copy)
{
    memory_unmap(atomic_exchange_explicit(&pending, copy, memory_order_acq_rel),
                 sizeof(struct stack_copy));
}

void symbols_warm_up(void)
{
    struct stack_copy *copy = memory_map(sizeof(*copy));
    if (!copy)
        return;
    fork_child_hook(warm_up_forget);
    arch_capture(&copy->regs);
    copy_stack(copy);
    put(copy);
    dwarf_thread_nudge();
}

void warm_up_forget(void)
{
    put(NULL);
}

static uint64_t symbol_bytes(const struct elf_file *file)
{
    const Elf64_Shdr *section = elf_file_section_of_type(file, SHT_SYMTAB);
    if (!section || section->sh_link >= file->section_count)
        return 0;
    uint64_t names = file->sections[section->sh_link].sh_size;
    return names > UINT64_MAX - section->sh_size ? UINT64_MAX : names + section->sh_size;
}

static bool is_light_file(const struct elf_file *file)
{
    struct dwarf_section sections[DWARF_SECTIONS_MAX];
    size_t count = dwarf_sections_find(file, sections);
    return symbol_bytes(file) <= WARM_UP_MODULE_MAX &&
           dwarf_sections_size(sections, count) <= WARM_UP_MODULE_MAX;
}

static bool is_light(const struct mapping *mapping)
{
    struct elf_file file;
    struct elf_file debug;
    if (elf_find_mapped(mapping, &file) != 0)
        return false;
    bool light = is_light_file(&file);
    if (light && !elf_file_has_dwarf(&file) && elf_find_debug(&file, mapping->path, &debug) == 0) {
        light = is_light_file(&debug);
        elf_file_close(&debug);
    }
    elf_file_close(&file);
    return light;
}

// The module of code, if it is light, pinned; NULL: it is not. *ret_mapping is where the code lies,
// without its path.
static struct symbol_module *pin_light(uintptr_t place, struct mapping *ret_mapping)
{
    struct epoch_hold hold = {0};
    struct symbol_module *module = NULL;
    epoch_hold(&hold);
    if (!maps_find(place, ret_mapping))
        *ret_mapping = (struct mapping){0};
    else if (is_light(ret_mapping))
        module = symbol_modules_get(ret_mapping);
    if (module)
        symbol_modules_pin(module);
    epoch_release(&hold);
    ret_mapping->path = "";
    return module;
}

// Opens the module even if the addresses are known: in the child of a fork they mostly are.
static bool open_light(uintptr_t place, struct mapping *ret_mapping)
{
    struct symbol_module *module = pin_light(place, ret_mapping);
    if (module) {
        // Without a hold, for libdw may get stuck in malloc.
        dwarf_thread_open(module);
        symbol_modules_unpin(module);
    }
    return module != NULL;
}

static void ask(const uintptr_t *addresses, size_t count)
{
    struct mapping mapping = {0};
    bool light = false;
    for (size_t i = 0; i < count && dwarf_thread_runs(); i++) {
        uintptr_t place = addresses[i] - 1;
        if (place < mapping.start || place >= mapping.limit)
            light = open_light(place, &mapping);
        struct epoch_hold hold = {0};
        epoch_hold(&hold);
        if (light)
            symbols_ask(&addresses[i], 1);
        epoch_release(&hold);
    }
}

static void ask_for_stack(const struct stack_copy *copy)
{
    struct unwind_view view = {
        .low = copy->regs.sp, .high = copy->regs.sp + copy->length, .copy = copy->bytes};
    uintptr_t frames[FRAMES_MAX];
    unsigned end;
    struct epoch_hold hold = {0};
    epoch_hold(&hold);
    unsigned depth = unwind(&copy->regs, UNWIND_ALL_KNOWN, false, &view, frames, FRAMES_MAX, &end);
    epoch_release(&hold);
    ask(frames, depth);
}

void warm_up_run(void)
{
    struct stack_copy *copy = atomic_exchange_explicit(&pending, NULL, memory_order_acq_rel);
    if (!copy)
        return;
    maps_refresh();
    ask_for_stack(copy);
    // Where the library was preloaded, the program's own code has not run yet.
    uintptr_t entry = getauxval(AT_ENTRY) + 1;
    ask(&entry, 1);
    // This thread's own stack ends as every thread's does.
    arch_capture(&copy->regs);
    copy_stack(copy);
    ask_for_stack(copy);
    memory_unmap(copy, sizeof(*copy));
}
