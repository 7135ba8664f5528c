// The described types among those of a binary.

#include "profiler/channels/inquiry.h"
#include "profiler/described/binaries.h"
#include "profiler/described/walk.h"
#include "profiler/symbols/elf_find.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYOUTS_MAX = 256, NAMES_KNOWN_MAX = 64 };

// Whole definitions that were looked for by name, in one binary.
struct known_name {
    char name[64];
    bool found;
    Dwarf_Die die;
};

struct world {
    struct type_world base; // first
    struct binary *binary;
    unsigned count;
    struct known_name names[NAMES_KNOWN_MAX];
};

struct budget layouts_budget =
    BUDGET_INIT("layouts of described types", "queues of such a layout are not recognised",
                LAYOUTS_MAX * sizeof(struct layout));

static struct arena layout_memory;
static const struct layout *layouts[LAYOUTS_MAX];
static size_t layout_count;
static const struct described_file *layouts_of;

static bool is_tag(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

struct seek {
    struct visit visit; // first
    const char *name;
    Dwarf_Die found;
};

static bool is_sought(struct visit *visit, Dwarf_Die *die, int tag, const char *prefix)
{
    struct seek *seek = (struct seek *)visit;
    Dwarf_Attribute attribute;
    const char *name = is_tag(tag) ? dwarf_diename(die) : NULL;
    (void)prefix;
    if (!name || strcmp(name, seek->name) != 0 || dwarf_attr(die, DW_AT_declaration, &attribute))
        return false;
    seek->found = *die;
    return true;
}

static bool find_complete(struct type_world *base, const char *name, Dwarf_Die *ret)
{
    struct world *world = (struct world *)base;
    for (unsigned i = 0; i < world->count; i++) {
        if (strcmp(world->names[i].name, name) != 0)
            continue;
        *ret = world->names[i].die;
        return world->names[i].found;
    }
    struct seek seek = {.visit = {.entry = is_sought}, .name = name};
    bool found = walk_units(&seek.visit, &world->binary->image) ||
                 walk_units(&seek.visit, &world->binary->shared);
    if (world->count < NAMES_KNOWN_MAX && strlen(name) < sizeof(world->names[0].name)) {
        struct known_name *known = &world->names[world->count++];
        snprintf(known->name, sizeof(known->name), "%s", name);
        known->found = found;
        known->die = seek.found;
    }
    if (found)
        *ret = seek.found;
    return found;
}

struct index {
    struct visit visit; // first
    struct described_file *file;
    struct world world;
};

static bool same_path(const struct layout_path *one, const struct layout_path *other)
{
    if (one->count != other->count || one->size != other->size ||
        one->is_signed != other->is_signed || one->is_bool != other->is_bool ||
        one->bit != other->bit || one->bits != other->bits)
        return false;
    for (unsigned i = 0; i < one->count; i++)
        if (one->steps[i].offset != other->steps[i].offset ||
            one->steps[i].deref != other->steps[i].deref)
            return false;
    return true;
}

static bool same_layout(const struct layout *one, const struct layout *other)
{
    if (one->description != other->description || one->size != other->size)
        return false;
    for (int role = 0; role < ROLES; role++)
        if (!same_path(&one->paths[role], &other->paths[role]))
            return false;
    return true;
}

static const struct layout *keep_layout(const struct layout *layout)
{
    for (size_t i = 0; i < layout_count; i++)
        if (same_layout(layouts[i], layout))
            return layouts[i];
    bool room = (layout_count + 1) * sizeof(*layout) <= layouts_budget.limit;
    const struct layout *kept = room ? arena_copy(&layout_memory, layout, sizeof(*layout)) : NULL;
    if (kept)
        layouts[layout_count++] = kept;
    else
        budget_leave_out(&layouts_budget);
    return kept;
}

const struct layout *layouts_next(uint32_t description, const struct layout *after)
{
    size_t at = 0;
    if (!layouts_of)
        return NULL;
    while (after && at < layout_count && layouts[at] != after)
        at++;
    for (at += after != NULL; at < layout_count; at++)
        if (layouts[at]->description == &layouts_of->types[description].description)
            return layouts[at];
    return NULL;
}

// "queue" means every queue, whatever its namespace; "ns::queue" that one.
static bool is_named(const struct description *description, const char *prefix, const char *name)
{
    size_t length = strlen(prefix);
    if (!strchr(description->type, ':'))
        return strcmp(description->type, name) == 0;
    return strncmp(description->type, prefix, length) == 0 &&
           strcmp(description->type + length, name) == 0;
}

static void add_type(struct index *index, uint32_t number, const Dwarf_Die *die,
                     const struct layout *layout)
{
    struct type_entry entry = {
        .address = die->addr, .description = number, .layout = layout, .die = *die};
    buffer_append(&index->world.binary->types, &entry, sizeof(entry));
}

static void take_type(struct index *index, uint32_t number, Dwarf_Die *die)
{
    struct described_type *type = &index->file->types[number];
    const struct layout *kept = NULL;
    struct layout layout;
    Dwarf_Die whole;
    Dwarf_Attribute attribute;
    char problem[PROBLEM_MAX];
    bool known = type_peel(die, &whole);
    if (!known)
        return;
    if (!dwarf_attr(&whole, DW_AT_declaration, &attribute)) {
        if (type_layout(&index->world.base, &whole, &type->description, &layout, problem) != 0) {
            if (!type->problem[0])
                memcpy(type->problem, problem, sizeof(problem));
            return;
        }
        kept = keep_layout(&layout);
        type->fits = true;
    }
    add_type(index, number, die, kept);
    // A function may speak of a typedef's structure by its own name.
    if (whole.addr != die->addr && type_is_structure(&whole))
        add_type(index, number, &whole, kept);
}

static bool index_entry(struct visit *visit, Dwarf_Die *die, int tag, const char *prefix)
{
    struct index *index = (struct index *)visit;
    if (tag != DW_TAG_typedef && !is_tag(tag))
        return false;
    const char *name = dwarf_diename(die);
    if (!name)
        return false;
    for (uint32_t i = 0; i < index->file->count; i++) {
        struct described_type *type = &index->file->types[i];
        if (type->description.tag_only && tag == DW_TAG_typedef)
            continue;
        if (is_named(&type->description, prefix, name))
            take_type(index, i, die);
        else if (!type->fits)
            near_offer(&type->near, type->description.type, name);
    }
    return false;
}

static int by_address(const void *one, const void *other)
{
    const struct type_entry *a = one;
    const struct type_entry *b = other;
    return a->address < b->address ? -1 : a->address > b->address;
}

static bool go_on(void)
{
    inquiry_step();
    return true;
}

static int open_dwarf(struct binary *binary)
{
    struct elf_file file;
    struct elf_file debug;
    int error = elf_find_mapped(&binary->mapping, &file);
    if (error)
        return error;
    if (elf_file_has_dwarf(&file)) {
        error = dwarf_image_open(&file, go_on, &binary->image);
        if (!error)
            dwarf_image_open_shared(&binary->image, &file, go_on, &binary->shared);
    } else {
        error = elf_find_debug(&file, binary->mapping.path, &debug);
        if (!error) {
            error = elf_file_has_dwarf(&debug) ? dwarf_image_open(&debug, go_on, &binary->image)
                                               : -ENODATA;
            if (!error)
                dwarf_image_open_shared(&binary->image, &debug, go_on, &binary->shared);
            elf_file_close(&debug);
        }
    }
    if (binary->shared.dwarf)
        dwarf_setalt(binary->image.dwarf, binary->shared.dwarf);
    elf_file_close(&file);
    return error;
}

// What is below every stack, and what wrapped the wait: neither speaks of a program's queues, and
// the C library's DWARF is long.
static bool is_beneath(const char *path)
{
    static const char *const names[] = {"/libc.so.", "/ld-linux", "/libtaskprof"};
    const char *name = strrchr(path, '/');
    for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

bool binary_open(struct binary *binary, struct described_file *file)
{
    if (binary->opened)
        return binary->image.dwarf != NULL;
    binary->opened = true;
    layouts_of = file;
    if (is_beneath(binary->mapping.path) || open_dwarf(binary) != 0)
        return false;
    struct index index = {.visit = {.entry = index_entry},
                          .file = file,
                          .world = {.base = {.complete = find_complete}, .binary = binary}};
    walk_units(&index.visit, &binary->image);
    walk_units(&index.visit, &binary->shared);
    if (binary->types.length && !binary->types.failed)
        qsort(binary->types.data, binary->types.length / sizeof(struct type_entry),
              sizeof(struct type_entry), by_address);
    return true;
}

const struct type_entry *binary_type(const struct binary *binary, const Dwarf_Die *type)
{
    const struct type_entry *entries = (const void *)binary->types.data;
    size_t low = 0;
    size_t high = binary->types.failed ? 0 : binary->types.length / sizeof(*entries);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].address < type->addr)
            low = middle + 1;
        else
            high = middle;
    }
    size_t count = binary->types.failed ? 0 : binary->types.length / sizeof(*entries);
    return low < count && entries[low].address == type->addr ? &entries[low] : NULL;
}

const struct type_entry *binary_definition(const struct binary *binary, uint32_t description)
{
    const struct type_entry *entries = (const void *)binary->types.data;
    size_t count = binary->types.failed ? 0 : binary->types.length / sizeof(*entries);
    for (size_t i = 0; i < count; i++)
        if (entries[i].description == description && entries[i].layout)
            return &entries[i];
    return NULL;
}

void layouts_forget(void)
{
    layout_count = 0;
    layouts_of = NULL;
}
