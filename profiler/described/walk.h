// Walking over the entries of a file's DWARF: types, variables and functions, in whatever scope
// they stand. Only for the types thread: libdw calls malloc.

#pragma once

#include "profiler/symbols/dwarf_image.h"

#include <stdbool.h>

// The first member of a visitor's own struct.
struct visit {
    // `prefix`: the namespaces and classes around, "a::b::". true ends the walk.
    bool (*entry)(struct visit *visit, Dwarf_Die *die, int tag, const char *prefix);
    bool into_functions;
};

// Visits all entries of a unit, but for those inside of functions (unless into_functions) and of
// other entries that hold no scope. `entries_max`: more there can't be. Whether the visitor ended
// it.
bool walk_unit(struct visit *visit, Dwarf_Die *unit, uint64_t entries_max);

// The same for all units; none where no DWARF is open.
bool walk_units(struct visit *visit, const struct dwarf_image *image);
