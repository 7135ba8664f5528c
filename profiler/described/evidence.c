#include "profiler/described/evidence.h"

#include "profiler/described/code.h"
#include "profiler/described/held.h"

#include <dwarf.h>
#include <string.h>

enum {
    KNOWN_MAX = 5, // frames of code with DWARF that are looked at
};

// What a type has at the place of the object that is waited on.
struct meeting {
    const struct binary *binary;
    uint32_t description;
    uint64_t inside; // of the described type: how far into it the object lies
    uint64_t size;   // of the object
    bool described;
    bool other;
};

static bool meet(void *context, const Dwarf_Die *type, uint64_t left)
{
    struct meeting *meeting = context;
    const struct type_entry *entry = binary_type(meeting->binary, type);
    if (entry && entry->description == meeting->description && left == meeting->inside) {
        meeting->described = true;
        return true;
    }
    Dwarf_Die die = *type;
    Dwarf_Word size;
    if (left == 0 && dwarf_aggregate_size(&die, &size) == 0 && size == meeting->size)
        meeting->other = true;
    return false;
}

// An object among a program's static variables is what its variable's type says, and nothing else.
static bool is_in_variable(struct binary *binary, uint32_t description,
                           const struct layout_path *path, uintptr_t object)
{
    const struct static_variable *variable = binary_variable(binary, object);
    struct meeting meeting = {.binary = binary,
                              .description = description,
                              .inside = path->steps[0].offset,
                              .size = path->size};
    if (!variable)
        return false;
    Dwarf_Die die = variable->die;
    Dwarf_Die type;
    return type_of(&die, &type) &&
           type_descend(&type, object - binary->mapping.bias - variable->low, meet, &meeting) &&
           meeting.described;
}

// Another structure that a function speaks of, and that may be what the object is in.
struct rival {
    const struct held *held;
    const struct binary *binary;
    uint32_t description;
    const struct layout_path *path;
    uintptr_t object;
    const Dwarf_Die *type; // the structure
    bool own_function;     // it is the function that speaks of the described type, too
    bool found;
};

struct part {
    Dwarf_Die die;
    bool found;
};

static bool is_part(void *context, const Dwarf_Die *type, uint64_t left)
{
    struct part *part = context;
    Dwarf_Die one = *type;
    Dwarf_Word size;
    Dwarf_Word other_size;
    const char *name = dwarf_diename(&one);
    const char *other = dwarf_diename(&part->die);
    part->found = left == 0 && dwarf_tag(&one) == dwarf_tag(&part->die) &&
                  dwarf_aggregate_size(&one, &size) == 0 &&
                  dwarf_aggregate_size(&part->die, &other_size) == 0 && size == other_size &&
                  (one.addr == part->die.addr || (name && other && strcmp(name, other) == 0));
    return part->found;
}

// Whether the described type itself has such a structure at this place.
static bool is_part_of_described(const struct rival *rival, uint64_t offset)
{
    const struct type_entry *entry = binary_definition(rival->binary, rival->description);
    struct part part = {.die = *rival->type};
    if (!entry || rival->path->steps[0].offset < offset)
        return false;
    type_descend(&entry->die, rival->path->steps[0].offset - offset, is_part, &part);
    return part.found;
}

static bool look_at_field(void *context, const Dwarf_Die *type, uint64_t offset)
{
    struct rival *rival = context;
    const struct type_entry *entry = binary_type(rival->binary, type);
    Dwarf_Die die = *type;
    Dwarf_Word size;
    if (rival->found || (entry && entry->description == rival->description))
        return false;
    if (dwarf_aggregate_size(&die, &size) != 0 || size != rival->path->size)
        return true;
    // The object's own type says nothing of what it is in, unless the described type begins with
    // it: its address is then held in any case.
    die = *rival->type;
    bool is_object =
        offset == 0 && dwarf_aggregate_size(&die, &size) == 0 && size == rival->path->size;
    if (is_object)
        rival->found = rival->own_function && rival->path->steps[0].offset == 0;
    else
        rival->found =
            held_word(rival->held, rival->object - offset) && !is_part_of_described(rival, offset);
    return !rival->found;
}

// Whether a function on the way speaks of another structure which has such an object, and of which
// the task holds a pointer that fits.
static bool has_rival(const struct code *code, struct rival *rival)
{
    if (code->others_full)
        return true;
    rival->binary = code->binary;
    for (unsigned i = 0; i < code->other_count && !rival->found; i++) {
        rival->type = &code->others[i];
        type_fields(rival->type, look_at_field, rival);
    }
    return rival->found;
}

// The code of a stack, as far as it is looked at.
struct view {
    unsigned count;
    const struct code *code[KNOWN_MAX];
};

static void look(struct described_file *file, const struct question *question, struct view *ret)
{
    ret->count = 0;
    for (unsigned i = 0; i < question->depth && ret->count < KNOWN_MAX; i++) {
        const struct code *code = code_at(file, question->frames[i] - 1);
        if (code && code->has_function)
            ret->code[ret->count++] = code;
    }
}

struct search {
    struct described_file *file;
    const struct inquiry *inquiry;
    const struct question *question;
    struct view view;
    struct held held;
    bool has_held;
    bool later;
    unsigned found; // different queues, in the innermost function that speaks of any
    struct evidence evidence;
};

static bool read_once(struct search *search)
{
    if (!search->has_held && !search->later) {
        search->has_held = held_read(search->inquiry, &search->held);
        search->later = !search->has_held;
    }
    return search->has_held;
}

static void add_found(struct search *search, const struct layout *layout, uintptr_t base,
                      enum path_role role)
{
    struct channel_reading reading;
    enum inquiry_side side = role >= ROLE_SEND ? INQUIRY_SEND : INQUIRY_RECEIVE;
    if (layout_read(layout, base, &reading) < 0)
        return;
    struct evidence *before = &search->evidence;
    if (search->found && before->base == base &&
        before->layout->description == layout->description) {
        if (before->side != side)
            before->side = INQUIRY_BY_LENGTH;
        return;
    }
    search->found++;
    *before = (struct evidence){.layout = layout, .base = base, .side = side};
}

static bool rivals(const struct search *search, unsigned frame, uint32_t description,
                   const struct layout_path *path)
{
    struct rival rival = {.held = &search->held,
                          .description = description,
                          .path = path,
                          .object = search->inquiry->object};
    for (unsigned i = 0; i <= frame; i++) {
        rival.own_function = i == frame;
        if (has_rival(search->view.code[i], &rival))
            return true;
    }
    return false;
}

// A wait object that the queue only points to: every pointer that the task holds may be the queue.
static void try_pointers(struct search *search, const struct layout *layout, enum path_role role)
{
    const struct held *held = &search->held;
    for (size_t i = 0; i < held->count; i++) {
        uintptr_t base = held->words[i];
        uintptr_t object;
        if (base < 4096 || base % sizeof(void *) || base > UINTPTR_MAX / 2 ||
            layout_address(&layout->paths[role], base, &object) < 0 ||
            object != search->inquiry->object)
            continue;
        add_found(search, layout, base, role);
    }
}

static void try_layout(struct search *search, unsigned frame, uint32_t description,
                       const struct layout *layout)
{
    for (enum path_role role = ROLE_RECEIVE; role < ROLES; role++) {
        const struct layout_path *path = &layout->paths[role];
        if (!path->count || !read_once(search))
            continue;
        if (!layout_is_direct(path)) {
            try_pointers(search, layout, role);
            continue;
        }
        uintptr_t base = search->inquiry->object - path->steps[0].offset;
        if (held_object(&search->held, base) && !rivals(search, frame, description, path))
            add_found(search, layout, base, role);
    }
}

// The queue of a static variable: which functions wait on it does not matter.
static enum evidence_result search_static(struct search *search, struct binary *binary)
{
    if (!binary_open(binary, search->file))
        return EVIDENCE_NO;
    for (uint32_t i = 0; i < search->file->count; i++) {
        const struct layout *layout = NULL;
        while ((layout = layouts_next(i, layout)) != NULL)
            for (enum path_role role = ROLE_RECEIVE; role < ROLES; role++) {
                const struct layout_path *path = &layout->paths[role];
                uintptr_t object = search->inquiry->object;
                if (layout_is_direct(path) && is_in_variable(binary, i, path, object))
                    add_found(search, layout, object - path->steps[0].offset, role);
            }
    }
    return search->found == 1 ? EVIDENCE_YES : EVIDENCE_NO;
}

static enum evidence_result search_stack(struct search *search)
{
    look(search->file, search->question, &search->view);
    for (unsigned frame = 0; frame < search->view.count; frame++) {
        uint64_t described = search->view.code[frame]->described;
        for (uint32_t i = 0; i < search->file->count; i++) {
            const struct layout *layout = NULL;
            if (described >> i & 1)
                while ((layout = layouts_next(i, layout)) != NULL)
                    try_layout(search, frame, i, layout);
        }
        if (search->found)
            return search->found == 1 ? EVIDENCE_YES : EVIDENCE_NO;
    }
    return search->later ? EVIDENCE_LATER : EVIDENCE_NO;
}

enum evidence_result evidence_find(struct described_file *file, const struct question *question,
                                   struct evidence *ret)
{
    code_trim();
    static struct search search; // too large for some stacks; there is one types thread
    search = (struct search){.file = file, .inquiry = &question->inquiry, .question = question};
    struct binary *binary = binaries_of_data(question->inquiry.object);
    enum evidence_result result = binary ? search_static(&search, binary) : search_stack(&search);
    if (result == EVIDENCE_YES)
        *ret = search.evidence;
    return result;
}

void evidence_forget(void)
{
    code_forget();
}
