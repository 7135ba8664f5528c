// The compile units of a file, by address: through .debug_aranges, which says it in little space,
// and through the ranges of those units that it leaves out (clang's compilers write none), of which
// each has to be visited. Only for the DWARF thread.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/base/table.h"
#include "profiler/symbols/dwarf_unit.h"

enum dwarf_units_visited {
    DWARF_UNITS_ASKED,    // only those that an address was asked of
    DWARF_UNITS_UNLISTED, // those of which .debug_aranges has nothing, too
    DWARF_UNITS_ALL,
};

struct dwarf_units {
    Dwarf *dwarf;
    uint64_t code_low; // all code of the file lies in [code_low, code_high)
    uint64_t code_high;
    Dwarf_Aranges *aranges; // the Dwarf's
    size_t arange_count;
    struct buffer units;  // of struct dwarf_unit: those that were visited
    struct table numbers; // of a unit, by where its entry is in .debug_info
    enum dwarf_units_visited visited;
    struct buffer ranges; // of struct range, of UNLISTED or ALL units: item is the unit
};

// *units is zeroes but for `dwarf` and the bounds of code. 0; -ENODATA: no unit has code; -ENOMEM.
int dwarf_units_open(struct dwarf_units *units);

// The unit that holds this address of the file, NULL if none does. Valid until the next call.
struct dwarf_unit *dwarf_units_find(struct dwarf_units *units, uint64_t address);

void dwarf_units_release(struct dwarf_units *units);
