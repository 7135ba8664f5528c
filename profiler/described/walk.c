#include "profiler/described/walk.h"

#include "profiler/channels/inquiry.h"

#include <dwarf.h>
#include <stdio.h>

enum { DEPTH_MAX = 64, PREFIX_MAX = 256, STEP = 4096 };

static bool is_scope(const struct visit *visit, int tag, bool nests)
{
    switch (tag) {
    case DW_TAG_namespace:
        return true;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return nests;
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
        return visit->into_functions;
    default:
        return false;
    }
}

// In C, what is defined in a struct stands beside it.
static bool nests_types(Dwarf_Die *unit)
{
    switch (dwarf_srclang(unit)) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
        return false;
    default:
        return true;
    }
}

static size_t extend(char prefix[PREFIX_MAX], size_t length, Dwarf_Die *die)
{
    const char *name = dwarf_diename(die);
    if (!name)
        return length;
    int wrote = snprintf(prefix + length, PREFIX_MAX - length, "%s::", name);
    return wrote > 0 && (size_t)wrote < PREFIX_MAX - length ? length + (size_t)wrote : length;
}

// The walk ends whatever the file says: its siblings may lead in a circle.
bool walk_unit(struct visit *visit, Dwarf_Die *unit, uint64_t entries_max)
{
    struct level {
        Dwarf_Die die;
        size_t prefix;
    } levels[DEPTH_MAX];
    char prefix[PREFIX_MAX] = "";
    bool nests = nests_types(unit);
    unsigned depth = dwarf_child(unit, &levels[0].die) == 0;
    levels[0].prefix = 0;
    for (uint64_t entries = 0; depth && entries < entries_max; entries++) {
        struct level *level = &levels[depth - 1];
        Dwarf_Die die = level->die;
        size_t length = level->prefix;
        int tag = dwarf_tag(&die);
        prefix[length] = '\0';
        if (visit->entry(visit, &die, tag, prefix))
            return true;
        if (dwarf_siblingof(&die, &level->die) != 0)
            depth--;
        if (depth < DEPTH_MAX && is_scope(visit, tag, nests) &&
            dwarf_child(&die, &levels[depth].die) == 0)
            levels[depth++].prefix = extend(prefix, length, &die);
        if (entries % STEP == 0)
            inquiry_step();
    }
    return false;
}

bool walk_units(struct visit *visit, const struct dwarf_image *image)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die;
    if (!image->dwarf)
        return false;
    while (dwarf_get_units(image->dwarf, unit, &unit, NULL, NULL, &die, NULL) == 0) {
        if (walk_unit(visit, &die, image->size))
            return true;
        inquiry_step();
    }
    return false;
}
