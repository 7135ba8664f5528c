#include "profiler/symbols/warm_up.h"

#include "profiler/arch/capture.h"
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

// Opens the module even if the addresses are known: in the child of a fork they mostly are.
static bool open_light(const struct mapping *mapping)
{
    struct symbol_module *module = is_light(mapping) ? symbol_modules_get(mapping) : NULL;
    if (module)
        dwarf_thread_open(module);
    return module != NULL;
}

static void ask(const uintptr_t *addresses, size_t count)
{
    struct mapping mapping = {0};
    bool light = false;
    for (size_t i = 0; i < count && dwarf_thread_runs(); i++) {
        uintptr_t place = addresses[i] - 1;
        if (place < mapping.start || place >= mapping.limit) {
            if (!maps_find(place, &mapping))
                continue;
            light = open_light(&mapping);
        }
        if (light)
            symbols_ask(&addresses[i], 1);
    }
}

static void ask_for_stack(const struct stack_copy *copy)
{
    struct unwind_view view = {
        .low = copy->regs.sp, .high = copy->regs.sp + copy->length, .copy = copy->bytes};
    uintptr_t frames[FRAMES_MAX];
    unsigned end;
    ask(frames, unwind(&copy->regs, UNWIND_ALL_KNOWN, false, &view, frames, FRAMES_MAX, &end));
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
