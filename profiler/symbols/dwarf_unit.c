#include "profiler/symbols/dwarf_unit.h"

#include "profiler/symbols/dwarf_step.h"

#include <dwarf.h>
#include <stdlib.h>

enum { DEPTH_MAX = 256, RANGES_MAX = 16 << 20, STEP = 4096, ROOT = 0 };
#define NOBODY UINT32_MAX // the parent of the unit itself

// A function that has code, or an inlined call.
struct dwarf_scope {
    Dwarf_Die die;
    bool described;
    // Once described:
    const char *function;
    bool not_linker_name;
    uint32_t start_line;
    const char *call_file; // of an inlined call: from where
    uint32_t call_line;
};

struct scope_range {
    uint64_t low;
    uint64_t high;
    uint32_t parent; // index of the scope around, or NOBODY
    uint32_t scope;
};

static struct dwarf_scope *scopes_of(const struct dwarf_unit *unit)
{
    return (struct dwarf_scope *)(void *)unit->scopes.data;
}

static struct scope_range *ranges_of_unit(const struct dwarf_unit *unit)
{
    return (struct scope_range *)(void *)unit->ranges.data;
}

// Adds the code of a scope; false if it has none.
static bool add_ranges(struct dwarf_unit *unit, Dwarf_Die *die, uint32_t parent, uint32_t scope)
{
    struct scope_range range = {.parent = parent, .scope = scope};
    size_t before = unit->ranges.length;
    Dwarf_Addr base = 0;
    ptrdiff_t at = 0;
    while (before < RANGES_MAX * sizeof(range) &&
           (at = dwarf_ranges(die, at, &base, &range.low, &range.high)) > 0)
        // Functions that the linker threw away stand at addresses that are no code's.
        if (range.low < range.high && range.low >= unit->code_low && range.high <= unit->code_high)
            buffer_append(&unit->ranges, &range, sizeof(range));
    return unit->ranges.length > before;
}

// Returns the scope in which the children of `die` lie. A function is nobody's child here, wherever
// it stands in the tree: its code is not within the code of the one around.
static uint32_t note(struct dwarf_unit *unit, Dwarf_Die *die, int tag, uint32_t parent)
{
    if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
        return parent;
    uint32_t scope = (uint32_t)(unit->scopes.length / sizeof(struct dwarf_scope));
    if (tag == DW_TAG_subprogram)
        parent = ROOT;
    if (!add_ranges(unit, die, parent, scope))
        return parent;
    buffer_append(&unit->scopes, &(struct dwarf_scope){.die = *die}, sizeof(struct dwarf_scope));
    return scope;
}

static bool may_hold_code(int tag)
{
    switch (tag) {
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_interface_type:
    case DW_TAG_common_block:
        return true;
    default:
        return false;
    }
}

// The walk ends whatever the file says: its siblings may lead in a circle.
static void walk(struct dwarf_unit *unit)
{
    struct level {
        Dwarf_Die die;
        uint32_t scope;
    } levels[DEPTH_MAX];
    unsigned depth = dwarf_child(&unit->die, &levels[0].die) == 0;
    levels[0].scope = ROOT;
    for (uint64_t entries = 0; depth && entries < unit->bytes; entries++) {
        struct level *level = &levels[depth - 1];
        Dwarf_Die die = level->die;
        int tag = dwarf_tag(&die);
        uint32_t scope = note(unit, &die, tag, level->scope);
        if (dwarf_siblingof(&die, &level->die) != 0)
            depth--;
        if (depth < DEPTH_MAX && may_hold_code(tag) && dwarf_child(&die, &levels[depth].die) == 0)
            levels[depth++].scope = scope;
        if (entries % STEP == 0)
            dwarf_step();
    }
}

// Of several functions in one place (aliases written in assembly) the first one is to be found.
static int by_parent_and_low(const void *one, const void *other)
{
    const struct scope_range *a = one;
    const struct scope_range *b = other;
    if (a->parent != b->parent)
        return a->parent < b->parent ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return a->scope > b->scope ? -1 : a->scope < b->scope;
}

static bool mangles(int language)
{
    switch (language) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
    case DW_LANG_Mips_Assembler:
        return false;
    default:
        return language > 0;
    }
}

static void build_index(struct dwarf_unit *unit)
{
    unit->indexed = true;
    unit->mangles = mangles(dwarf_srclang(&unit->die));
    struct dwarf_scope root = {.die = unit->die};
    buffer_append(&unit->scopes, &root, sizeof(root));
    add_ranges(unit, &unit->die, NOBODY, ROOT);
    walk(unit);
    if (unit->scopes.failed || unit->ranges.failed) {
        buffer_release(&unit->scopes);
        buffer_release(&unit->ranges);
    }
    if (unit->ranges.length)
        qsort(unit->ranges.data, unit->ranges.length / sizeof(struct scope_range),
              sizeof(struct scope_range), by_parent_and_low);
    dwarf_step();
    if (dwarf_getsrclines(&unit->die, &unit->lines, &unit->line_count) != 0)
        unit->line_count = 0;
    if (dwarf_getsrcfiles(&unit->die, &unit->files, &unit->file_count) != 0)
        unit->file_count = 0;
    dwarf_step();
}

// The range right inside of `parent` that holds the address, NULL if none does.
static const struct scope_range *find_range(const struct dwarf_unit *unit, uint32_t parent,
                                            uint64_t address)
{
    const struct scope_range *ranges = ranges_of_unit(unit);
    size_t low = 0;
    size_t high = unit->ranges.length / sizeof(*ranges);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct scope_range *range = &ranges[middle];
        if (range->parent < parent || (range->parent == parent && range->low <= address))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct scope_range *range = &ranges[low - 1];
    return range->parent == parent && range->high > address ? range : NULL;
}

static uint32_t number_of(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (!dwarf_attr_integrate(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0 ||
        value > UINT32_MAX)
        return 0;
    return (uint32_t)value;
}

static const char *linkage_name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) ||
        dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute))
        name = dwarf_formstring(&attribute);
    return name;
}

static const struct dwarf_scope *describe(struct dwarf_unit *unit, uint32_t index)
{
    struct dwarf_scope *scope = &scopes_of(unit)[index];
    if (scope->described)
        return scope;
    scope->described = true;
    scope->function = linkage_name_of(&scope->die);
    if (!scope->function) {
        scope->function = dwarf_diename(&scope->die);
        scope->not_linker_name = unit->mangles;
    }
    scope->start_line = number_of(&scope->die, DW_AT_decl_line);
    Dwarf_Attribute attribute;
    Dwarf_Word file;
    if (dwarf_attr(&scope->die, DW_AT_call_file, &attribute) &&
        dwarf_formudata(&attribute, &file) == 0 && file < unit->file_count)
        scope->call_file = dwarf_filesrc(unit->files, file, NULL, NULL);
    scope->call_line = number_of(&scope->die, DW_AT_call_line);
    return scope;
}

// Of the rows at or before the address the last one, as addr2line takes it: of several for one
// address it describes the code that follows. A row that ends a sequence describes nothing.
static Dwarf_Line *find_line(const struct dwarf_unit *unit, uint64_t address)
{
    size_t low = 0;
    size_t high = unit->line_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        Dwarf_Addr at;
        if (dwarf_lineaddr(dwarf_onesrcline(unit->lines, middle), &at) == 0 && at <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    Dwarf_Line *line = dwarf_onesrcline(unit->lines, low - 1);
    bool ends = true;
    return dwarf_lineendsequence(line, &ends) == 0 && !ends ? line : NULL;
}

bool dwarf_unit_holds(struct dwarf_unit *unit, uint64_t address)
{
    if (!unit->indexed)
        build_index(unit);
    return find_range(unit, NOBODY, address) != NULL;
}

bool dwarf_unit_find(struct dwarf_unit *unit, uint64_t address, struct dwarf_answer *ret)
{
    if (!unit->indexed)
        build_index(unit);
    uint32_t scopes[DWARF_FRAMES_MAX]; // outermost first
    unsigned count = 0;
    for (uint32_t scope = ROOT; count < DWARF_FRAMES_MAX;) {
        const struct scope_range *range = find_range(unit, scope, address);
        if (!range)
            break;
        scope = range->scope;
        scopes[count++] = scope;
    }
    Dwarf_Line *line = find_line(unit, address);
    if (!count && !line)
        return false;

    ret->count = count ? count : 1;
    ret->entry = 0;
    ret->not_linker_name = false;
    struct dwarf_frame frame = {0};
    int number = 0;
    if (line)
        frame.file = dwarf_linesrc(line, NULL, NULL);
    if (line && dwarf_lineno(line, &number) == 0 && number > 0)
        frame.line = (uint32_t)number;
    ret->frames[0] = frame;
    for (unsigned i = 0; i < count; i++) {
        const struct dwarf_scope *scope = describe(unit, scopes[count - 1 - i]);
        ret->frames[i].function = scope->function;
        ret->frames[i].start_line = scope->start_line;
        if (i + 1 < count)
            ret->frames[i + 1] =
                (struct dwarf_frame){.file = scope->call_file, .line = scope->call_line};
    }
    if (count) {
        struct dwarf_scope *function = &scopes_of(unit)[scopes[0]];
        ret->not_linker_name = function->not_linker_name;
        dwarf_entrypc(&function->die, &ret->entry);
    }
    return true;
}

void dwarf_unit_release(struct dwarf_unit *unit)
{
    buffer_release(&unit->scopes);
    buffer_release(&unit->ranges);
}
