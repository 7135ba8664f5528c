// A step by a full row: the general case, for rules that do not fit into the compact form.

#include "profiler/unwind/frame.h"

#include <errno.h>

static unsigned end_of(int error)
{
    return error == -ENODATA ? STACK_NO_REGISTER : STACK_BAD_FRAME;
}

static unsigned cfa_of(const struct cfi_row *row, const struct frame *frame,
                       const struct unwind_view *view, uintptr_t *ret)
{
    switch (row->cfa.kind) {
    case CFI_VAL_OFFSET: {
        uintptr_t base;
        if (!frame_register(frame, row->cfa_register, &base))
            return STACK_NO_REGISTER;
        *ret = base + (uintptr_t)row->cfa.offset;
        return 0;
    }
    case CFI_VAL_EXPRESSION: {
        int error = cfi_expression(row->cfa.expression, row->cfa.length, NULL, frame, view, ret);
        return error ? end_of(error) : 0;
    }
    default:
        return STACK_NO_RULE;
    }
}

// What the caller's register holds. 0 and *ret, or an enum stack_end; STACK_NO_REGISTER is for the
// caller of this to judge: the value may never be needed.
static unsigned value_of(const struct cfi_rule *rule, uintptr_t cfa, const struct frame *frame,
                         const struct unwind_view *view, uintptr_t *ret)
{
    uintptr_t value;
    int error;
    switch (rule->kind) {
    case CFI_OFFSET:
        return view_load(view, cfa + (uintptr_t)rule->offset, ret) ? 0 : STACK_BAD_FRAME;
    case CFI_VAL_OFFSET:
        *ret = cfa + (uintptr_t)rule->offset;
        return 0;
    case CFI_REGISTER:
        return frame_register(frame, (uint64_t)rule->offset, ret) ? 0 : STACK_NO_REGISTER;
    case CFI_EXPRESSION:
    case CFI_VAL_EXPRESSION:
        error = cfi_expression(rule->expression, rule->length, &cfa, frame, view, &value);
        if (error)
            return end_of(error);
        if (rule->kind == CFI_EXPRESSION)
            return view_load(view, value, ret) ? 0 : STACK_BAD_FRAME;
        *ret = value;
        return 0;
    default:
        return STACK_NO_REGISTER;
    }
}

unsigned frame_step_row(const struct cfi_row *row, const struct unwind_view *view,
                        struct frame *frame, bool *ret_outermost)
{
    *ret_outermost = row->ra.kind == CFI_UNDEFINED;
    if (*ret_outermost)
        return 0;
    struct frame caller = *frame;
    unsigned end = cfa_of(row, frame, view, &caller.regs.sp);
    if (end)
        return end;
    for (int i = 0; i < ARCH_SAVED; i++) {
        const struct cfi_rule *rule = &row->saved[i];
        if (rule->kind == CFI_UNSPECIFIED || rule->kind == CFI_SAME)
            continue;
        end = value_of(rule, caller.regs.sp, frame, view, &caller.regs.saved[i]);
        if (end == STACK_BAD_FRAME)
            return end;
        caller.known = end ? caller.known & ~(1u << i) : caller.known | 1u << i;
    }
    if (row->ra.kind == CFI_UNSPECIFIED || row->ra.kind == CFI_SAME) {
        // Only where a call leaves it in a register can it be found there.
        if (!ARCH_RA_IN_REGISTER)
            return STACK_NO_RULE;
        if (!frame_register(frame, ARCH_DWARF_RA, &caller.regs.pc))
            return STACK_NO_REGISTER;
    } else {
        end = value_of(&row->ra, caller.regs.sp, frame, view, &caller.regs.pc);
        if (end)
            return end;
    }
    caller.regs.pc = arch_code_address(caller.regs.pc);
    *frame = caller;
    return 0;
}
