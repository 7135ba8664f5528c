#include "profiler/symbols/dwarf_lines.h"

#include "profiler/symbols/dwarf_image.h"
#include "profiler/symbols/dwarf_step.h"
#include "profiler/symbols/dwarf_units.h"
#include "profiler/symbols/elf_find.h"

#include <errno.h>
#include <stdlib.h>

struct dwarf_lines {
    struct dwarf_lines *next;
    struct dwarf_lines *previous;
    struct dwarf_image image;
    struct dwarf_image shared; // what .gnu_debugaltlink names; empty if it names nothing
    struct dwarf_units units;
};

// All that are open, so that leak checkers, which do not look into memory from memory_map, see that
// somebody still has them.
static struct dwarf_lines *all_open;

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

static int open_dwarf(const struct elf_file *file, struct dwarf_lines **ret)
{
    struct dwarf_lines *lines = calloc(1, sizeof(*lines));
    if (!lines)
        return -ENOMEM;
    lines->next = all_open;
    if (all_open)
        all_open->previous = lines;
    all_open = lines;
    int error = dwarf_image_open(file, dwarf_step, &lines->image);
    if (!error) {
        if (dwarf_image_open_shared(&lines->image, file, dwarf_step, &lines->shared) == 0)
            dwarf_setalt(lines->image.dwarf, lines->shared.dwarf);
        lines->units.dwarf = lines->image.dwarf;
        find_code(file, &lines->units.code_low, &lines->units.code_high);
        error = dwarf_units_open(&lines->units);
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
    dwarf_units_release(&lines->units);
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
    struct dwarf_unit *unit = dwarf_units_find(&lines->units, address);
    bool found = unit && dwarf_unit_find(unit, address, ret);
    dwarf_step();
    return found;
}
