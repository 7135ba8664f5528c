// One compile unit's functions, inlined calls and lines, sorted on first use: libdw alone walks all
// of a unit for every address. Only for the DWARF thread.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/symbols/dwarf_answer.h"

#include <elfutils/libdw.h>

struct dwarf_unit {
    Dwarf_Die die;
    uint64_t bytes;    // of .debug_info: more entries than that can't be in it
    uint64_t code_low; // all code of the file lies in [code_low, code_high)
    uint64_t code_high;
    bool indexed;
    bool mangles;         // the language's linker names are not those of the source
    struct buffer scopes; // of struct dwarf_scope; the first is the unit itself
    struct buffer ranges; // of struct scope_range, by (parent, low)
    Dwarf_Lines *lines;
    size_t line_count;
    Dwarf_Files *files;
    size_t file_count;
};

// Whether the unit says of itself that it holds this address of the file.
bool dwarf_unit_holds(struct dwarf_unit *unit, uint64_t address);

// What stands at an address of the file. false: nothing is known.
bool dwarf_unit_find(struct dwarf_unit *unit, uint64_t address, struct dwarf_answer *ret);

void dwarf_unit_release(struct dwarf_unit *unit);
