// The program of an entry, run up to one address.

#include "profiler/unwind/cfi.h"

#include "profiler/unwind/dwarf_constants.h"

#include <errno.h>

// Longer ones are nobody's; and they are kept for ever.
enum { EXPRESSION_MAX = 1024 };

struct machine {
    const struct cfi_sections *sections;
    const struct cfi_entry *entry;
    struct cfi_scratch *scratch;
    struct cfi_row *row;
    struct cfi_rule ignored; // where rules of registers go that nobody needs
    uintptr_t location;
    unsigned remembered;
    bool initial_known; // the CIE's program is over
};

static struct cfi_rule *rule_in(struct machine *machine, struct cfi_row *row, uint64_t dwarf)
{
    int index = arch_saved_index(dwarf);
    if (index >= 0)
        return &row->saved[index];
    return dwarf == machine->entry->ra_register ? &row->ra : &machine->ignored;
}

static void set(struct machine *machine, uint64_t dwarf, enum cfi_kind kind, int64_t offset)
{
    *rule_in(machine, machine->row, dwarf) = (struct cfi_rule){.kind = kind, .offset = offset};
}

static void restore(struct machine *machine, uint64_t dwarf)
{
    if (machine->initial_known)
        *rule_in(machine, machine->row, dwarf) =
            *rule_in(machine, &machine->scratch->initial, dwarf);
}

static int64_t factored(const struct machine *machine, uint64_t operand)
{
    return (int64_t)(operand * (uint64_t)machine->entry->data_align);
}

static struct cfi_rule expression(struct cursor *program, enum cfi_kind kind)
{
    uint64_t length = cursor_uleb128(program);
    const uint8_t *bytes = cursor_skip(program, length);
    if (!bytes || length == 0 || length > EXPRESSION_MAX) {
        cursor_fail(program);
        return (struct cfi_rule){0};
    }
    return (struct cfi_rule){.kind = kind, .length = (uint32_t)length, .expression = bytes};
}

static void define_cfa(struct machine *machine, uint64_t dwarf, int64_t offset)
{
    machine->row->cfa_register = dwarf;
    machine->row->cfa = (struct cfi_rule){.kind = CFI_VAL_OFFSET, .offset = offset};
}

static bool remember(struct machine *machine)
{
    if (machine->remembered == CFI_REMEMBER_MAX)
        return false;
    machine->scratch->remembered[machine->remembered++] = *machine->row;
    return true;
}

static bool recall(struct machine *machine)
{
    if (machine->remembered == 0)
        return false;
    *machine->row = machine->scratch->remembered[--machine->remembered];
    return true;
}

// Operations that say how a register is found.
static bool run_register(struct machine *machine, struct cursor *program, uint8_t op)
{
    uint64_t dwarf = cursor_uleb128(program);
    switch (op) {
    case DW_CFA_offset_extended:
        set(machine, dwarf, CFI_OFFSET, factored(machine, cursor_uleb128(program)));
        return true;
    case DW_CFA_offset_extended_sf:
        set(machine, dwarf, CFI_OFFSET, factored(machine, (uint64_t)cursor_sleb128(program)));
        return true;
    case DW_CFA_GNU_negative_offset_extended:
        set(machine, dwarf, CFI_OFFSET, factored(machine, -cursor_uleb128(program)));
        return true;
    case DW_CFA_val_offset:
        set(machine, dwarf, CFI_VAL_OFFSET, factored(machine, cursor_uleb128(program)));
        return true;
    case DW_CFA_val_offset_sf:
        set(machine, dwarf, CFI_VAL_OFFSET, factored(machine, (uint64_t)cursor_sleb128(program)));
        return true;
    case DW_CFA_register:
        set(machine, dwarf, CFI_REGISTER, (int64_t)cursor_uleb128(program));
        return true;
    case DW_CFA_undefined:
        set(machine, dwarf, CFI_UNDEFINED, 0);
        return true;
    case DW_CFA_same_value:
        set(machine, dwarf, CFI_SAME, 0);
        return true;
    case DW_CFA_expression:
        *rule_in(machine, machine->row, dwarf) = expression(program, CFI_EXPRESSION);
        return true;
    case DW_CFA_val_expression:
        *rule_in(machine, machine->row, dwarf) = expression(program, CFI_VAL_EXPRESSION);
        return true;
    case DW_CFA_restore_extended:
        restore(machine, dwarf);
        return true;
    default:
        return false;
    }
}

// Operations that say where the CFA is.
static bool run_cfa(struct machine *machine, struct cursor *program, uint8_t op)
{
    struct cfi_row *row = machine->row;
    switch (op) {
    case DW_CFA_def_cfa: {
        uint64_t dwarf = cursor_uleb128(program);
        define_cfa(machine, dwarf, (int64_t)cursor_uleb128(program));
        return true;
    }
    case DW_CFA_def_cfa_sf: {
        uint64_t dwarf = cursor_uleb128(program);
        define_cfa(machine, dwarf, factored(machine, (uint64_t)cursor_sleb128(program)));
        return true;
    }
    case DW_CFA_def_cfa_register:
        define_cfa(machine, cursor_uleb128(program), row->cfa.offset);
        return true;
    case DW_CFA_def_cfa_offset:
        define_cfa(machine, row->cfa_register, (int64_t)cursor_uleb128(program));
        return true;
    case DW_CFA_def_cfa_offset_sf:
        define_cfa(machine, row->cfa_register,
                   factored(machine, (uint64_t)cursor_sleb128(program)));
        return true;
    case DW_CFA_def_cfa_expression:
        row->cfa = expression(program, CFI_VAL_EXPRESSION);
        return true;
    default:
        return false;
    }
}

// Operations that move on in the code. false: `op` is none of them.
static bool run_advance(struct machine *machine, struct cursor *program, uint8_t op)
{
    uint64_t delta;
    switch (op) {
    case DW_CFA_set_loc:
        if (!cfi_pointer(program, &machine->sections->frames, machine->entry->encoding,
                         machine->sections->header.address, &machine->location))
            cursor_fail(program);
        return true;
    case DW_CFA_advance_loc1:
        delta = cursor_unsigned(program, 1);
        break;
    case DW_CFA_advance_loc2:
        delta = cursor_unsigned(program, 2);
        break;
    case DW_CFA_advance_loc4:
        delta = cursor_unsigned(program, 4);
        break;
    default:
        if ((op & 0xc0) != DW_CFA_advance_loc)
            return false;
        delta = op & 0x3f;
    }
    machine->location += delta * machine->entry->code_align;
    return true;
}

static bool run_other(struct machine *machine, struct cursor *program, uint8_t op)
{
    switch (op & 0xc0) {
    case DW_CFA_offset:
        set(machine, op & 0x3f, CFI_OFFSET, factored(machine, cursor_uleb128(program)));
        return true;
    case DW_CFA_restore:
        restore(machine, op & 0x3f);
        return true;
    default:
        break;
    }
    switch (op) {
    case DW_CFA_nop:
    // Signed return addresses: arch_code_address takes the signature off, signed or not.
    case DW_CFA_AARCH64_negate_ra_state:
        return true;
    case DW_CFA_GNU_args_size:
        cursor_uleb128(program);
        return true;
    case DW_CFA_remember_state:
        return remember(machine);
    case DW_CFA_restore_state:
        return recall(machine);
    default:
        return run_cfa(machine, program, op) || run_register(machine, program, op);
    }
}

// Runs until the program ends or goes beyond `pc`. Every operation takes a byte at least, and an
// entry's length is bounded by its section's: so it ends.
static bool run(struct machine *machine, struct cursor program, uintptr_t pc)
{
    while (program.at < program.end) {
        uint8_t op = *program.at++;
        if (run_advance(machine, &program, op)) {
            if (machine->location > pc)
                break;
        } else if (!run_other(machine, &program, op)) {
            return false;
        }
    }
    return !program.failed;
}

int cfi_row_at(const struct cfi_sections *sections, uintptr_t pc, struct cfi_scratch *scratch,
               struct cfi_row *ret)
{
    size_t offset = cfi_search(sections, pc);
    if (offset == SIZE_MAX)
        return -ENOENT;
    struct cfi_entry entry;
    if (cfi_entry_at(sections, offset, &entry) != 0)
        return -EINVAL;
    if (pc < entry.start || pc >= entry.limit)
        return -ENOENT;
    memset(ret, 0, sizeof(*ret));
    struct machine machine = {.sections = sections,
                              .entry = &entry,
                              .scratch = scratch,
                              .row = ret,
                              .location = entry.start};
    if (!run(&machine, entry.common, UINTPTR_MAX))
        return -EINVAL;
    scratch->initial = *ret;
    machine.initial_known = true;
    machine.location = entry.start;
    machine.remembered = 0;
    if (!run(&machine, entry.own, pc))
        return -EINVAL;
    int ra = arch_saved_index(entry.ra_register);
    if (ra >= 0)
        ret->ra = ret->saved[ra];
    ret->signal_frame = entry.signal_frame;
    return 0;
}
