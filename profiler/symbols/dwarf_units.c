#include "profiler/symbols/dwarf_units.h"

#include "profiler/symbols/dwarf_step.h"
#include "profiler/symbols/ranges.h"

#include <dwarf.h>
#include <errno.h>

enum { UNIT_RANGES_MAX = 1 << 20 };

static struct dwarf_unit *unit_at(const struct dwarf_units *units, uint32_t number)
{
    return &((struct dwarf_unit *)(void *)units->units.data)[number];
}

// The number of the unit in [start, end) of .debug_info, whose entry is at `entry`; TABLE_NONE:
// none that has code, or no memory.
static uint32_t visit(struct dwarf_units *units, Dwarf_Off start, Dwarf_Off end, Dwarf_Off entry)
{
    uint32_t number = table_get(&units->numbers, entry);
    if (number != TABLE_NONE)
        return number;
    struct dwarf_unit unit = {
        .bytes = end - start, .code_low = units->code_low, .code_high = units->code_high};
    int tag = dwarf_offdie(units->dwarf, entry, &unit.die) ? dwarf_tag(&unit.die) : DW_TAG_invalid;
    if (tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit)
        return TABLE_NONE;
    number = (uint32_t)(units->units.length / sizeof(unit));
    buffer_append(&units->units, &unit, sizeof(unit));
    if (units->units.failed || !table_put(&units->numbers, entry, number)) {
        units->units.failed = true;
        return TABLE_NONE;
    }
    return number;
}

static void add_ranges(struct dwarf_units *units, uint32_t number)
{
    struct dwarf_unit *unit = unit_at(units, number);
    Dwarf_Addr base = 0;
    ptrdiff_t at = 0;
    struct range range = {.item = number};
    for (unsigned i = 0; i < UNIT_RANGES_MAX; i++) {
        at = dwarf_ranges(&unit->die, at, &base, &range.low, &range.high);
        if (at <= 0)
            break;
        range.origin = range.low;
        if (range.low < range.high && range.low >= unit->code_low && range.high <= unit->code_high)
            buffer_append(&units->ranges, &range, sizeof(range));
    }
}

// The units' entries that .debug_aranges has code of.
static void list(const struct dwarf_units *units, struct table *ret)
{
    Dwarf_Arange *arange;
    Dwarf_Off entry;
    for (size_t i = 0; i < units->arange_count; i++)
        if ((arange = dwarf_onearange(units->aranges, i)) &&
            dwarf_getarangeinfo(arange, NULL, NULL, &entry) == 0)
            table_put(ret, entry, 0); // without memory it counts as not listed: visited in vain
}

static int visit_many(struct dwarf_units *units, enum dwarf_units_visited which)
{
    struct table listed = {0};
    if (which == DWARF_UNITS_UNLISTED)
        list(units, &listed);
    Dwarf_Off at = 0;
    Dwarf_Off next;
    size_t header;
    while (dwarf_nextcu(units->dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
        if (table_get(&listed, at + header) == TABLE_NONE) {
            uint32_t number = visit(units, at, next, at + header);
            if (number != TABLE_NONE)
                add_ranges(units, number);
        }
        dwarf_step();
        at = next;
    }
    table_release(&listed);
    units->visited = which;
    if (units->units.failed || units->ranges.failed)
        return -ENOMEM;
    int error = ranges_sort(&units->ranges);
    return error ? error : ranges_flatten(&units->ranges);
}

int dwarf_units_open(struct dwarf_units *units)
{
    if (dwarf_getaranges(units->dwarf, &units->aranges, &units->arange_count) != 0)
        units->arange_count = 0;
    dwarf_step();
    if (units->arange_count)
        return 0;
    int error = visit_many(units, DWARF_UNITS_ALL);
    return error ? error : units->ranges.length ? 0 : -ENODATA;
}

// .debug_aranges is made by another part of the compiler than the units, and may lie.
static struct dwarf_unit *find_in_aranges(struct dwarf_units *units, uint64_t address,
                                          bool *ret_wrong)
{
    Dwarf_Arange *arange = dwarf_getarange_addr(units->aranges, address);
    *ret_wrong = arange != NULL;
    Dwarf_Off entry;
    Dwarf_Die die;
    Dwarf_Off next;
    size_t header;
    if (!arange || dwarf_getarangeinfo(arange, NULL, NULL, &entry) != 0 ||
        !dwarf_offdie(units->dwarf, entry, &die))
        return NULL;
    Dwarf_Off start = entry - dwarf_cuoffset(&die);
    if (dwarf_nextcu(units->dwarf, start, &next, &header, NULL, NULL, NULL) != 0 ||
        start + header != entry)
        return NULL;
    uint32_t number = visit(units, start, next, entry);
    if (number == TABLE_NONE || !dwarf_unit_holds(unit_at(units, number), address))
        return NULL;
    *ret_wrong = false;
    return unit_at(units, number);
}

// Many addresses are in no unit: between functions, in what was written in assembly. Where
// .debug_aranges was never found wrong it is believed that none of the units in it has them.
struct dwarf_unit *dwarf_units_find(struct dwarf_units *units, uint64_t address)
{
    bool wrong = false;
    if (units->visited != DWARF_UNITS_ALL) {
        struct dwarf_unit *unit = find_in_aranges(units, address, &wrong);
        if (unit)
            return unit;
    }
    enum dwarf_units_visited needed = wrong ? DWARF_UNITS_ALL : DWARF_UNITS_UNLISTED;
    if (units->visited < needed) {
        buffer_release(&units->ranges);
        if (visit_many(units, needed) != 0)
            buffer_release(&units->ranges);
    }
    const struct range *range = ranges_find(&units->ranges, address);
    return range ? unit_at(units, range->item) : NULL;
}

void dwarf_units_release(struct dwarf_units *units)
{
    for (size_t i = 0; i < units->units.length / sizeof(struct dwarf_unit); i++)
        dwarf_unit_release(unit_at(units, (uint32_t)i));
    buffer_release(&units->units);
    buffer_release(&units->ranges);
    table_release(&units->numbers);
}
