// What stands at an address of a binary: a variable, or functions.

#include "profiler/channels/inquiry.h"
#include "profiler/described/binaries.h"
#include "profiler/described/walk.h"

#include <dwarf.h>
#include <stdlib.h>

struct gather {
    struct visit visit; // first
    struct binary *binary;
};

static bool fixed_address(Dwarf_Die *die, uint64_t *ret)
{
    Dwarf_Attribute attribute;
    Dwarf_Attribute operand;
    Dwarf_Op *operations;
    size_t count;
    Dwarf_Addr address;
    if (!dwarf_attr(die, DW_AT_location, &attribute) ||
        dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1)
        return false;
    if (operations[0].atom == DW_OP_addr) {
        *ret = operations[0].number;
        return true;
    }
    if (operations[0].atom != DW_OP_addrx ||
        dwarf_getlocation_attr(&attribute, &operations[0], &operand) != 0 ||
        dwarf_formaddr(&operand, &address) != 0)
        return false;
    *ret = address;
    return true;
}

static bool gather_variable(struct visit *visit, Dwarf_Die *die, int tag, const char *prefix)
{
    struct gather *gather = (struct gather *)visit;
    struct static_variable variable = {.die = *die};
    Dwarf_Die type;
    Dwarf_Word size;
    (void)prefix;
    if (tag == DW_TAG_variable && fixed_address(die, &variable.low) && type_of(die, &type) &&
        dwarf_aggregate_size(&type, &size) == 0 && size && variable.low + size > variable.low) {
        variable.high = variable.low + size;
        buffer_append(&gather->binary->variables, &variable, sizeof(variable));
    }
    return false;
}

static int by_low(const void *one, const void *other)
{
    const struct static_variable *a = one;
    const struct static_variable *b = other;
    return a->low < b->low ? -1 : a->low > b->low;
}

const struct static_variable *binary_variable(struct binary *binary, uintptr_t address)
{
    if (!binary->has_variables) {
        struct gather gather = {.visit = {.entry = gather_variable, .into_functions = true},
                                .binary = binary};
        binary->has_variables = true;
        walk_units(&gather.visit, &binary->image);
        if (binary->variables.length && !binary->variables.failed)
            qsort(binary->variables.data, binary->variables.length / sizeof(struct static_variable),
                  sizeof(struct static_variable), by_low);
    }
    uint64_t at = address - binary->mapping.bias;
    const struct static_variable *variables = (const void *)binary->variables.data;
    size_t low = 0;
    size_t high = binary->variables.failed ? 0 : binary->variables.length / sizeof(*variables);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (variables[middle].low <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low && at < variables[low - 1].high ? &variables[low - 1] : NULL;
}

static bool is_block(int tag)
{
    return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block ||
           tag == DW_TAG_inlined_subroutine;
}

// The child of `scope` that holds the address; blocks may hold one that does.
static bool step_inside(Dwarf_Die *scope, uint64_t address, Dwarf_Die *ret)
{
    enum { CHILDREN_MAX = 1 << 20 };
    Dwarf_Die child;
    if (dwarf_child(scope, &child) != 0)
        return false;
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        if (is_block(dwarf_tag(&child)) && dwarf_haspc(&child, address) == 1) {
            *ret = child;
            return true;
        }
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
    return false;
}

struct locate {
    struct visit visit; // first
    uint64_t address;
    Dwarf_Die found;
};

static bool holds_address(struct visit *visit, Dwarf_Die *die, int tag, const char *prefix)
{
    struct locate *locate = (struct locate *)visit;
    (void)prefix;
    if (tag != DW_TAG_subprogram || dwarf_haspc(die, locate->address) != 1)
        return false;
    locate->found = *die;
    return true;
}

unsigned binary_scopes(struct binary *binary, uintptr_t address, Dwarf_Die ret[BINARY_SCOPES_MAX])
{
    struct locate locate = {.visit = {.entry = holds_address},
                            .address = address - binary->mapping.bias};
    Dwarf_CU *unit = NULL;
    Dwarf_Die die;
    unsigned count = 0;
    while (!count &&
           dwarf_get_units(binary->image.dwarf, unit, &unit, NULL, NULL, &die, NULL) == 0) {
        inquiry_step();
        if (dwarf_haspc(&die, locate.address) == 1 &&
            walk_unit(&locate.visit, &die, binary->image.size))
            ret[count++] = locate.found;
    }
    while (count && count < BINARY_SCOPES_MAX &&
           step_inside(&ret[count - 1], locate.address, &ret[count]))
        count++;
    return count;
}
