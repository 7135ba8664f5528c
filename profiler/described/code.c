#include "profiler/described/code.h"

#include "profiler/base/table.h"

#include <dwarf.h>

_Static_assert(DESCRIPTIONS_MAX <= 64, "struct code has a bit for each");

enum { ENTRIES_MAX = 1 << 14, CODES_MAX = 1 << 16, PEEL_MAX = 32 };

static struct table by_address; // address → index in `codes`
static struct code **codes;
static uint32_t code_count;
static struct arena memory;

static void add_other(struct code *code, const Dwarf_Die *die)
{
    for (unsigned i = 0; i < code->other_count; i++)
        if (code->others[i].addr == die->addr)
            return;
    if (code->other_count == CODE_OTHERS_MAX)
        code->others_full = true;
    else
        code->others[code->other_count++] = *die;
}

// A described type under its own name or any typedef's; else a structure of another type.
static bool note_named(struct code *code, const Dwarf_Die *type)
{
    Dwarf_Die here = *type;
    for (int i = 0; i < PEEL_MAX; i++) {
        const struct type_entry *entry = binary_type(code->binary, &here);
        if (entry) {
            code->described |= (uint64_t)1 << entry->description;
            return true;
        }
        Dwarf_Die next;
        int tag = dwarf_tag(&here);
        if ((tag != DW_TAG_typedef && tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
             tag != DW_TAG_restrict_type && tag != DW_TAG_atomic_type) ||
            !type_of(&here, &next))
            break;
        here = next;
    }
    if (!type_is_structure(&here))
        return false;
    add_other(code, &here);
    return true;
}

static void note_variable(struct code *code, Dwarf_Die *variable)
{
    Dwarf_Die type;
    Dwarf_Die here;
    Dwarf_Die pointee;
    if (!type_of(variable, &type) || note_named(code, &type) || !type_peel(&type, &here) ||
        !type_is_pointer(&here) || !type_of(&here, &pointee))
        return;
    note_named(code, &pointee);
}

static void note_variables(struct code *code, Dwarf_Die *scope)
{
    Dwarf_Die child;
    if (dwarf_child(scope, &child) != 0)
        return;
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_formal_parameter || tag == DW_TAG_variable)
            note_variable(code, &child);
        if (dwarf_siblingof(&child, &child) != 0)
            break;
    }
}

static void note_scope(struct code *code, Dwarf_Die *scope)
{
    Dwarf_Attribute attribute;
    Dwarf_Die origin;
    note_variables(code, scope);
    // Parameters that were optimised away stand where the function was written alone.
    if (dwarf_attr(scope, DW_AT_abstract_origin, &attribute) &&
        dwarf_formref_die(&attribute, &origin))
        note_variables(code, &origin);
}

static void learn(struct described_file *file, struct code *code)
{
    Dwarf_Die scopes[BINARY_SCOPES_MAX];
    struct binary *binary = binaries_of_code(code->address);
    if (!binary || !binary_open(binary, file))
        return;
    code->binary = binary;
    unsigned count = binary_scopes(binary, code->address, scopes);
    code->has_function = count != 0;
    for (unsigned i = 0; i < count; i++)
        note_scope(code, &scopes[i]);
}

const struct code *code_at(struct described_file *file, uintptr_t address)
{
    uint32_t known = table_get(&by_address, address);
    if (known != TABLE_NONE)
        return codes[known];
    if (!codes)
        // NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what it holds
        codes = memory_map(CODES_MAX * sizeof(*codes));
    struct code *code =
        codes && code_count < CODES_MAX ? arena_alloc(&memory, sizeof(*code)) : NULL;
    if (!code || !table_put(&by_address, address, code_count))
        return NULL;
    codes[code_count++] = code;
    code->address = address;
    learn(file, code);
    return code;
}

void code_trim(void)
{
    if (code_count == CODES_MAX)
        code_forget();
}

void code_forget(void)
{
    table_clear(&by_address);
    code_count = 0;
    arena_release(&memory);
}
