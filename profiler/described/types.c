#include "profiler/described/types.h"

#include "profiler/described/near.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// DWARF comes from a file, and may lead in circles.
enum { PEEL_MAX = 32, NESTED_MAX = 8, MEMBERS_MAX = 4096, LISTED = 6, ELEMENTS_MAX = 16 };

bool type_of(Dwarf_Die *die, Dwarf_Die *ret)
{
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) &&
           dwarf_formref_die(&attribute, ret) != NULL;
}

static bool is_transparent(int tag)
{
    return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
           tag == DW_TAG_restrict_type || tag == DW_TAG_atomic_type || tag == DW_TAG_immutable_type;
}

bool type_peel(const Dwarf_Die *type, Dwarf_Die *ret)
{
    Dwarf_Die die = *type;
    for (int i = 0; i < PEEL_MAX; i++) {
        if (!is_transparent(dwarf_tag(&die))) {
            *ret = die;
            return true;
        }
        Dwarf_Die next;
        if (!type_of(&die, &next))
            return false;
        die = next;
    }
    return false;
}

bool type_is_structure(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

bool type_is_pointer(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
           tag == DW_TAG_rvalue_reference_type;
}

static bool attribute_number(Dwarf_Die *die, unsigned name, uint64_t *ret)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (!dwarf_attr_integrate(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0)
        return false;
    *ret = value;
    return true;
}

// Bytes from its structure's start. false: not told, or told by a computation.
static bool member_offset(Dwarf_Die *member, uint64_t *ret)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    if (!dwarf_attr(member, DW_AT_data_member_location, &attribute)) {
        uint64_t bit;
        *ret = attribute_number(member, DW_AT_data_bit_offset, &bit) ? bit / 8 : 0;
        return true;
    }
    if (dwarf_formudata(&attribute, &value) == 0) {
        *ret = value;
        return true;
    }
    Dwarf_Op *operations;
    size_t count;
    if (dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1 ||
        operations[0].atom != DW_OP_plus_uconst)
        return false;
    *ret = operations[0].number;
    return true;
}

static bool is_member(int tag)
{
    return tag == DW_TAG_member || tag == DW_TAG_inheritance;
}

struct field {
    Dwarf_Die member;
    Dwarf_Die type;
    uint64_t offset;
};

// A field by name, in the structure or in the nameless ones and bases inside of it.
// Here and below, `left` is how many more members may be looked at: nameless ones may be nested
// without end.
static bool find_field(const Dwarf_Die *structure, const char *name, int depth, unsigned *left,
                       struct field *ret)
{
    Dwarf_Die child;
    Dwarf_Die parent = *structure;
    if (depth > NESTED_MAX || dwarf_child(&parent, &child) != 0)
        return false;
    while (*left) {
        --*left;
        int tag = dwarf_tag(&child);
        const char *known = tag == DW_TAG_member ? dwarf_diename(&child) : NULL;
        struct field field = {.member = child};
        if (is_member(tag) && type_of(&child, &field.type) &&
            member_offset(&child, &field.offset)) {
            Dwarf_Die inner;
            if (known && strcmp(known, name) == 0) {
                *ret = field;
                return true;
            }
            if (!known && type_peel(&field.type, &inner) && type_is_structure(&inner) &&
                find_field(&inner, name, depth + 1, left, ret)) {
                ret->offset += field.offset;
                return true;
            }
        }
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
    return false;
}

static void list_fields(const Dwarf_Die *structure, const char *wanted, int depth, unsigned *left,
                        struct near *near, char *list, size_t size, unsigned *count)
{
    Dwarf_Die child;
    Dwarf_Die parent = *structure;
    if (depth > NESTED_MAX || dwarf_child(&parent, &child) != 0)
        return;
    while (*left) {
        --*left;
        int tag = dwarf_tag(&child);
        const char *name = tag == DW_TAG_member ? dwarf_diename(&child) : NULL;
        Dwarf_Die type;
        Dwarf_Die inner;
        if (name) {
            near_offer(near, wanted, name);
            size_t used = strlen(list);
            if (*count < LISTED)
                snprintf(list + used, size - used, "%s%.40s", *count ? ", " : "", name);
            else if (*count == LISTED)
                snprintf(list + used, size - used, ", ...");
            ++*count;
        } else if (is_member(tag) && type_of(&child, &type) && type_peel(&type, &inner) &&
                   type_is_structure(&inner)) {
            list_fields(&inner, wanted, depth + 1, left, near, list, size, count);
        }
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
}

// The first name of a type, a typedef's before its structure's; NULL: none.
static const char *type_name(const Dwarf_Die *type)
{
    Dwarf_Die here = *type;
    for (int i = 0; i < PEEL_MAX; i++) {
        const char *name = dwarf_diename(&here);
        Dwarf_Die next;
        if (name || !is_transparent(dwarf_tag(&here)) || !type_of(&here, &next))
            return name;
        here = next;
    }
    return NULL;
}

// One path on its way through the types.
struct walk {
    struct type_world *world;
    const struct description *description;
    enum path_role role;
    struct layout_path *into;
    char *problem;
    Dwarf_Die type;    // of what was reached, not peeled
    uint64_t offset;   // since the last pointer
    char owner[80];    // the structure that was looked into last
    Dwarf_Die member;  // the field that was reached last
    bool is_field;     // it is a field, and no element
    uint64_t elements; // of an array that was reached last
};

static int fail(const struct walk *walk, unsigned step, const char *why)
{
    char text[160];
    const struct path *path = &walk->description->paths[walk->role];
    description_path_text(path, step, text, sizeof(text));
    snprintf(walk->problem, PROBLEM_MAX, "%.60s: %s=: %.120s %.280s", walk->description->type,
             description_key(walk->role), text, why);
    return -EINVAL;
}

static void take_pointer(struct walk *walk)
{
    walk->into->steps[walk->into->count].offset = walk->offset;
    walk->into->steps[walk->into->count++].deref = true;
    walk->offset = 0;
}

// A structure of which this unit knows the name alone may be whole in another.
static bool complete(struct walk *walk, Dwarf_Die *structure)
{
    Dwarf_Attribute attribute;
    if (!dwarf_attr(structure, DW_AT_declaration, &attribute))
        return true;
    const char *name = dwarf_diename(structure);
    return name && walk->world && walk->world->complete(walk->world, name, structure);
}

static int enter_field(struct walk *walk, unsigned step)
{
    const struct path *path = &walk->description->paths[walk->role];
    const struct path_step *wanted = &path->steps[step];
    Dwarf_Die here;
    Dwarf_Die named = walk->type;
    bool known = type_peel(&walk->type, &here);
    if (wanted->kind == STEP_ARROW) {
        if (!known || !type_is_pointer(&here))
            return fail(walk, step - 1, "is no pointer: write \".\" behind it instead of \"->\"");
        if (!type_of(&here, &named) || !type_peel(&named, &here))
            return fail(walk, step - 1, "points to void, of which nothing is known");
        take_pointer(walk);
    } else if (known && type_is_pointer(&here)) {
        return fail(walk, step - 1, "is a pointer: write \"->\" behind it instead of \".\"");
    }
    if (!known || !type_is_structure(&here))
        return fail(walk, step - 1, "is no struct, and has no fields");
    const char *name = step ? type_name(&named) : walk->description->type;
    snprintf(walk->owner, sizeof(walk->owner), "%.70s", name ? name : "its struct");
    if (!complete(walk, &here)) {
        char why[128];
        snprintf(why, sizeof(why), "has a type (%.60s) that is nowhere defined", walk->owner);
        return fail(walk, step - 1, why);
    }
    struct field field;
    unsigned left = MEMBERS_MAX;
    if (!find_field(&here, wanted->name, 0, &left, &field)) {
        struct near near = {0};
        char list[160] = "";
        char likely[NEAR_TEXT_MAX];
        unsigned count = 0;
        left = MEMBERS_MAX;
        list_fields(&here, wanted->name, 0, &left, &near, list, sizeof(list), &count);
        snprintf(walk->problem, PROBLEM_MAX,
                 "%.60s: %s=: %.60s has no field \"%s\"%.160s; it has %s", walk->description->type,
                 description_key(walk->role), walk->owner, wanted->name, near_text(&near, likely),
                 count ? list : "none");
        return -EINVAL;
    }
    walk->offset += field.offset;
    walk->type = field.type;
    walk->member = field.member;
    walk->is_field = true;
    return 0;
}

static int enter_element(struct walk *walk, unsigned step)
{
    uint64_t index = walk->description->paths[walk->role].steps[step].index;
    Dwarf_Die here;
    Dwarf_Die element;
    Dwarf_Word size;
    Dwarf_Word whole;
    if (!type_peel(&walk->type, &here))
        return fail(walk, step - 1, "is void");
    bool is_pointer = type_is_pointer(&here);
    if (!is_pointer && dwarf_tag(&here) != DW_TAG_array_type)
        return fail(walk, step - 1, "is no array");
    if (!type_of(&here, &element) || dwarf_aggregate_size(&element, &size) != 0)
        return fail(walk, step - 1, "has elements of unknown size");
    if (!is_pointer && dwarf_aggregate_size(&here, &whole) == 0 && size && index >= whole / size)
        return fail(walk, step, "lies behind the array's end");
    if (is_pointer)
        take_pointer(walk);
    walk->offset += index * size;
    walk->type = element;
    walk->is_field = false;
    return 0;
}

// Of a structure that is nothing but one number (std::atomic<int>), that number.
static void unwrap(Dwarf_Die *type)
{
    for (int depth = 0; depth < NESTED_MAX && type_is_structure(type); depth++) {
        Dwarf_Die child;
        Dwarf_Die found;
        Dwarf_Die inner;
        uint64_t offset;
        int members = 0;
        if (dwarf_child(type, &child) != 0)
            return;
        for (int i = 0; i < MEMBERS_MAX; i++) {
            Dwarf_Attribute attribute;
            // A static member is no part of it.
            if (is_member(dwarf_tag(&child)) &&
                dwarf_attr(&child, DW_AT_data_member_location, &attribute)) {
                members++;
                found = child;
            }
            if (dwarf_siblingof(&child, &child) != 0)
                break;
        }
        if (members != 1 || !member_offset(&found, &offset) || offset || !type_of(&found, &inner) ||
            !type_peel(&inner, type))
            return;
    }
}

static int finish_number(struct walk *walk, unsigned last)
{
    Dwarf_Die type;
    Dwarf_Word size;
    uint64_t encoding = DW_ATE_unsigned;
    uint64_t bits;
    uint64_t bit;
    if (!type_peel(&walk->type, &type))
        return fail(walk, last, "is void");
    unwrap(&type);
    int tag = dwarf_tag(&type);
    if (type_is_pointer(&type))
        return fail(walk, last, "is a pointer: name the number behind it, with \"->\" or \"[0]\"");
    if (tag != DW_TAG_base_type && tag != DW_TAG_enumeration_type)
        return fail(walk, last, "is no number");
    if (tag == DW_TAG_base_type)
        attribute_number(&type, DW_AT_encoding, &encoding);
    if (encoding == DW_ATE_float || encoding == DW_ATE_complex_float ||
        dwarf_aggregate_size(&type, &size) != 0 ||
        (size != 1 && size != 2 && size != 4 && size != 8))
        return fail(walk, last, "is no whole number of 1, 2, 4 or 8 bytes");
    walk->into->size = size;
    walk->into->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
    walk->into->is_bool = encoding == DW_ATE_boolean;
    if (!walk->is_field || !attribute_number(&walk->member, DW_AT_bit_size, &bits))
        return 0;
    if (!attribute_number(&walk->member, DW_AT_data_bit_offset, &bit) || bits == 0 || bits > 57)
        return fail(walk, last, "is a bit field of a kind that is not understood");
    walk->into->bit = (uint8_t)(bit % 8);
    walk->into->bits = (uint8_t)bits;
    walk->into->size = (bit % 8 + bits + 7) / 8;
    return 0;
}

static int finish_text(struct walk *walk, unsigned last)
{
    Dwarf_Die type;
    Dwarf_Die element;
    Dwarf_Word size = 0;
    bool known = type_peel(&walk->type, &type);
    bool is_pointer = known && type_is_pointer(&type);
    if (!known || (!is_pointer && dwarf_tag(&type) != DW_TAG_array_type))
        return fail(walk, last, "is neither char * nor char[]");
    if (!is_pointer && dwarf_aggregate_size(&type, &size) != 0)
        return fail(walk, last, "is an array of unknown size");
    Dwarf_Word unit;
    if (!type_of(&type, &element) || !type_peel(&element, &type) ||
        dwarf_tag(&type) != DW_TAG_base_type || dwarf_aggregate_size(&type, &unit) != 0 ||
        unit != 1)
        return fail(walk, last, "is neither char * nor char[]");
    if (is_pointer)
        take_pointer(walk);
    walk->into->size = size;
    return 0;
}

// The object itself, or what the field points to.
static int finish_object(struct walk *walk, unsigned last)
{
    Dwarf_Die type;
    Dwarf_Die pointee;
    Dwarf_Word size = 0;
    if (!type_peel(&walk->type, &type))
        return fail(walk, last, "is void");
    if (type_is_pointer(&type)) {
        take_pointer(walk);
        if (type_of(&type, &pointee) && dwarf_aggregate_size(&pointee, &size) != 0)
            size = 0;
    } else if (dwarf_aggregate_size(&type, &size) != 0) {
        return fail(walk, last, "has no size");
    }
    walk->into->size = size;
    return 0;
}

static int find_path(struct type_world *world, const Dwarf_Die *die,
                     const struct description *description, enum path_role role,
                     struct layout_path *into, char *problem)
{
    const struct path *path = &description->paths[role];
    struct walk walk = {.world = world,
                        .description = description,
                        .role = role,
                        .into = into,
                        .problem = problem,
                        .type = *die};
    snprintf(walk.owner, sizeof(walk.owner), "%.70s", description->type);
    for (unsigned i = 0; i < path->count; i++) {
        int error =
            path->steps[i].kind == STEP_INDEX ? enter_element(&walk, i) : enter_field(&walk, i);
        if (error)
            return error;
    }
    unsigned last = path->count - 1;
    int error = role == ROLE_NAME      ? finish_text(&walk, last)
                : role >= ROLE_RECEIVE ? finish_object(&walk, last)
                                       : finish_number(&walk, last);
    if (error)
        return error;
    // Every pointer used up a step of the path but the last, for which there is one more.
    if (walk.offset || !into->count)
        into->steps[into->count++].offset = walk.offset;
    return 0;
}

int type_layout(struct type_world *world, const Dwarf_Die *die,
                const struct description *description, struct layout *ret,
                char problem[PROBLEM_MAX])
{
    struct layout layout = {.description = description};
    Dwarf_Die structure = *die;
    Dwarf_Word size;
    if (!type_is_structure(&structure) || dwarf_aggregate_size(&structure, &size) != 0) {
        snprintf(problem, PROBLEM_MAX, "%.100s is no struct, union or class", description->type);
        return -EINVAL;
    }
    layout.size = size;
    for (enum path_role role = 0; role < ROLES; role++) {
        if (!description->paths[role].count)
            continue;
        int error = find_path(world, die, description, role, &layout.paths[role], problem);
        if (error)
            return error;
    }
    *ret = layout;
    return 0;
}

struct descent {
    type_visit visit;
    void *context;
};

static bool descend(const struct descent *descent, const Dwarf_Die *type, uint64_t offset,
                    int depth, unsigned *left);

static bool descend_fields(const struct descent *descent, Dwarf_Die *structure, uint64_t offset,
                           int depth, unsigned *left)
{
    Dwarf_Die child;
    if (dwarf_child(structure, &child) != 0)
        return false;
    while (*left) {
        --*left;
        Dwarf_Die type;
        uint64_t start;
        Dwarf_Word size;
        if (is_member(dwarf_tag(&child)) && type_of(&child, &type) &&
            member_offset(&child, &start) && start <= offset &&
            dwarf_aggregate_size(&type, &size) == 0 && offset - start < size &&
            descend(descent, &type, offset - start, depth + 1, left))
            return true;
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
    return false;
}

static bool descend(const struct descent *descent, const Dwarf_Die *type, uint64_t offset,
                    int depth, unsigned *left)
{
    Dwarf_Die here = *type;
    for (int i = 0; i < PEEL_MAX; i++) {
        if (descent->visit(descent->context, &here, offset))
            return true;
        Dwarf_Die next;
        if (!is_transparent(dwarf_tag(&here)))
            break;
        if (!type_of(&here, &next))
            return false;
        here = next;
    }
    Dwarf_Die element;
    Dwarf_Word size;
    if (depth > NESTED_MAX)
        return false;
    if (type_is_structure(&here))
        return descend_fields(descent, &here, offset, depth, left);
    if (dwarf_tag(&here) == DW_TAG_array_type && type_of(&here, &element) &&
        dwarf_aggregate_size(&element, &size) == 0 && size)
        return descend(descent, &element, offset % size, depth + 1, left);
    return false;
}

bool type_descend(const Dwarf_Die *type, uint64_t offset, type_visit visit, void *context)
{
    const struct descent descent = {visit, context};
    unsigned left = MEMBERS_MAX;
    return descend(&descent, type, offset, 0, &left);
}

static void visit_fields(const struct descent *descent, const Dwarf_Die *type, uint64_t offset,
                         int depth, unsigned *left)
{
    Dwarf_Die here;
    Dwarf_Die child;
    Dwarf_Word whole;
    Dwarf_Word size;
    if (depth > NESTED_MAX || !*left || !type_peel(type, &here))
        return;
    --*left;
    if (!descent->visit(descent->context, type, offset))
        return;
    if (dwarf_tag(&here) == DW_TAG_array_type) {
        if (!type_of(&here, &child) || dwarf_aggregate_size(&here, &whole) != 0 ||
            dwarf_aggregate_size(&child, &size) != 0 || !size)
            return;
        for (uint64_t i = 0; i < whole / size && i < ELEMENTS_MAX; i++)
            visit_fields(descent, &child, offset + i * size, depth + 1, left);
        return;
    }
    if (!type_is_structure(&here) || dwarf_child(&here, &child) != 0)
        return;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        Dwarf_Die field;
        uint64_t start;
        if (is_member(dwarf_tag(&child)) && type_of(&child, &field) &&
            member_offset(&child, &start))
            visit_fields(descent, &field, offset + start, depth + 1, left);
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
}

void type_fields(const Dwarf_Die *type, type_visit visit, void *context)
{
    const struct descent descent = {visit, context};
    unsigned left = MEMBERS_MAX;
    visit_fields(&descent, type, 0, 0, &left);
}
