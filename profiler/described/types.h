// Types as DWARF describes them: fields by name, and what lies at an offset. Only for the types
// thread: libdw calls malloc.

#pragma once

#include "profiler/described/layout.h"

#include <elfutils/libdw.h>

// Finds a type's whole definition where one unit only declares it; false: there is none. Given by
// who knows all units.
struct type_world {
    bool (*complete)(struct type_world *world, const char *name, Dwarf_Die *ret);
};

// What stands behind typedefs and qualifiers. false: nothing (void).
bool type_peel(const Dwarf_Die *type, Dwarf_Die *ret);

// The type of a field, variable, typedef, pointer or array's element. false: it has none.
bool type_of(Dwarf_Die *die, Dwarf_Die *ret);

bool type_is_structure(Dwarf_Die *die); // struct, union or class
bool type_is_pointer(Dwarf_Die *die);   // or reference

// Finds where the described paths lie in the structure `die` (peeled and complete). 0 and *ret; or
// -EINVAL, and `problem` says which field of which type is not as described, with near misses.
int type_layout(struct type_world *world, const Dwarf_Die *die,
                const struct description *description, struct layout *ret,
                char problem[PROBLEM_MAX]);

// Looks at what lies at `offset` in a type, down through fields and elements. `visit` is called for
// every type on the way, its typedefs among them, with the offset that is left inside of it; it
// returns true to end the descent, which is what type_descend then returns.
typedef bool (*type_visit)(void *context, const Dwarf_Die *type, uint64_t left);
bool type_descend(const Dwarf_Die *type, uint64_t offset, type_visit visit, void *context);

// Every field and element inside of a type, at whatever depth, with its offset; the type itself
// first. `visit` returns whether to look inside as well. Of long arrays, the first elements.
void type_fields(const Dwarf_Die *type, type_visit visit, void *context);
