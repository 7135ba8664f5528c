#include "profiler/symbols/dwarf_lines.h"

#include "profiler/symbols/dwarf_image.h"
#include "profiler/symbols/dwarf_unit.h"
#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/ranges.h"

#include <dwarf.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct dwarf_lines {
    struct dwarf_lines *next;
    struct dwarf_lines *previous;
    struct dwarf_image image;
    struct dwarf_image shared; // what .gnu_debugaltlink names; empty if it names nothing
    struct buffer units;       // of struct dwarf_unit
    struct buffer ranges;      // of struct range: item is the unit
};

enum { UNIT_RANGES_MAX = 1 << 20 };

// All that are open, so that leak checkers, which do not look into memory from memory_map, see that
// somebody still has them.
static struct dwarf_lines *all_open;

// Relaxed: whoever reads them only compares them with what they were.
static _Atomic uint64_t steps;
static _Atomic uint64_t walks;

void dwarf_lines_step(void)
{
    atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
}

void dwarf_lines_walk(void)
{
    atomic_fetch_add_explicit(&walks, 1, memory_order_relaxed);
}

uint64_t dwarf_lines_progress(void)
{
    return atomic_load_explicit(&steps, memory_order_relaxed);
}

uint64_t dwarf_lines_walks(void)
{
    return atomic_load_explicit(&walks, memory_order_relaxed);
}

static void find_code(const struct elf_file *file, uint64_t *ret_low, uint64_t *ret_high)
{
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (size_t i = 0; i < file->section_count; i++) {
        const Elf64_Shdr *section = &file->sections[i];
        if (!(section->sh_flags & SHF_EXECINSTR) ||
            section->sh_size > UINT64_MAX - section->sh_addr)
            continue;
        low = section->sh_addr < low ? section->sh_addr : low;
        if (section->sh_addr + section->sh_size > high)
            high = section->sh_addr + section->sh_size;
    }
    *ret_low = low < high ? low : 1;
    *ret_high = low < high ? high : UINT64_MAX;
}

static void add_ranges(struct dwarf_lines *lines, struct dwarf_unit *unit, uint32_t index)
{
    Dwarf_Addr base = 0;
    ptrdiff_t at = 0;
    struct range range = {.item = index};
    for (unsigned i = 0; i < UNIT_RANGES_MAX; i++) {
        at = dwarf_ranges(&unit->die, at, &base, &range.low, &range.high);
        if (at <= 0)
            break;
        range.origin = range.low;
        if (range.low < range.high && range.low >= unit->code_low && range.high <= unit->code_high)
            buffer_append(&lines->ranges, &range, sizeof(range));
    }
}

static int index_units(struct dwarf_lines *lines, const struct elf_file *file)
{
    struct dwarf_unit unit = {0};
    find_code(file, &unit.code_low, &unit.code_high);
    Dwarf_Off at = 0;
    Dwarf_Off next;
    size_t header;
    while (dwarf_nextcu(lines->image.dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
        int tag = dwarf_offdie(lines->image.dwarf, at + header, &unit.die) ? dwarf_tag(&unit.die)
                                                                           : DW_TAG_invalid;
        if (tag == DW_TAG_compile_unit || tag == DW_TAG_skeleton_unit) {
            size_t index = lines->units.length / sizeof(unit);
            unit.bytes = next - at;
            buffer_append(&lines->units, &unit, sizeof(unit));
            add_ranges(lines, &unit, (uint32_t)index);
        }
        dwarf_lines_step();
        at = next;
    }
    if (lines->units.failed || lines->ranges.failed)
        return -ENOMEM;
    if (!lines->ranges.length)
        return -ENODATA;
    int error = ranges_sort(&lines->ranges);
    return error ? error : ranges_flatten(&lines->ranges);
}

static int open_dwarf(const struct elf_file *file, struct dwarf_lines **ret)
{
    struct dwarf_lines *lines = calloc(1, sizeof(*lines));
    if (!lines)
        return -ENOMEM;
    lines->next = all_open;
    if (all_open)
        all_open->previous = lines;
    all_open = lines;
    int error = dwarf_image_open(file, dwarf_lines_step, &lines->image);
    if (!error) {
        if (dwarf_image_open_shared(&lines->image, file, dwarf_lines_step, &lines->shared) == 0)
            dwarf_setalt(lines->image.dwarf, lines->shared.dwarf);
        error = index_units(lines, file);
    }
    if (error) {
        dwarf_lines_close(lines);
        return error;
    }
    *ret = lines;
    return 0;
}

int dwarf_lines_open_file(const struct elf_file *file, const char *path, struct dwarf_lines **ret)
{
    if (elf_file_has_dwarf(file))
        return open_dwarf(file, ret);
    struct elf_file debug;
    if (elf_find_debug(file, path, &debug) != 0)
        return -ENODATA;
    int error = elf_file_has_dwarf(&debug) ? open_dwarf(&debug, ret) : -ENODATA;
    elf_file_close(&debug);
    return error;
}

int dwarf_lines_open(const struct mapping *mapping, struct dwarf_lines **ret)
{
    struct elf_file file;
    int error = elf_find_mapped(mapping, &file);
    if (error)
        return error;
    error = dwarf_lines_open_file(&file, mapping->path, ret);
    elf_file_close(&file);
    return error;
}

void dwarf_lines_close(struct dwarf_lines *lines)
{
    if (!lines)
        return;
    struct dwarf_unit *units = (struct dwarf_unit *)(void *)lines->units.data;
    for (size_t i = 0; i < lines->units.length / sizeof(*units); i++)
        dwarf_unit_release(&units[i]);
    buffer_release(&lines->units);
    buffer_release(&lines->ranges);
    dwarf_image_close(&lines->image);
    dwarf_image_close(&lines->shared);
    if (lines->previous)
        lines->previous->next = lines->next;
    else
        all_open = lines->next;
    if (lines->next)
        lines->next->previous = lines->previous;
    free(lines);
}

bool dwarf_lines_find(struct dwarf_lines *lines, uint64_t address, struct dwarf_answer *ret)
{
    const struct range *range = ranges_find(&lines->ranges, address);
    if (!range)
        return false;
    struct dwarf_unit *units = (struct dwarf_unit *)(void *)lines->units.data;
    bool found = dwarf_unit_find(&units[range->item], address, ret);
    dwarf_lines_step();
    return found;
}

bool dwarf_answer_lacks_name(const struct dwarf_answer *answer, const char *name, size_t length)
{
    const char *known = answer->frames[answer->count - 1].function;
    if (!known || !answer->not_linker_name)
        return !known;
    size_t start = strlen(known);
    bool extends = length >= start && memcmp(name, known, start) == 0 &&
                   (length == start || name[start] == '.');
    return !extends;
}
