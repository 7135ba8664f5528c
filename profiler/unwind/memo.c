#include "profiler/unwind/memo.h"

#include "profiler/unwind/frame.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/rules.h"

// Frames are aligned to at most this on any architecture.
enum { ALIGNMENT = 16 };

FRAME_READS stack_id memo_match(const struct memo *memo, const struct arch_regs *regs,
                                const struct unwind_view *view)
{
    uintptr_t sp = regs->sp;
    if (memo->pc != regs->pc || !memo->stack || memo->generation != maps_generation() ||
        sp % ALIGNMENT != memo->sp_low || sp < view->low || sp > view->high ||
        view->high - sp < memo->reach)
        return 0;
    for (unsigned i = 0; i < memo->count; i++) {
        const struct memo_check *check = &memo->checks[i];
        uintptr_t word = check->where & MEMO_REGISTER ? regs->saved[check->where & ~MEMO_REGISTER]
                                                      : view_word(view, sp + check->where);
        if (word - (check->from_sp ? sp : 0) != check->value)
            return 0;
    }
    return memo->stack;
}

// An unwind that is repeated to see what it depends on.
struct lesson {
    const struct unwind_view *view;
    struct memo *memo;
    uintptr_t start; // sp of the leaf
    uintptr_t sp;
    uintptr_t saved[ARCH_SAVED];
    uint32_t source[ARCH_SAVED]; // where each came from, as memo_check.where
};

static bool depend(struct lesson *lesson, uint32_t where, bool from_sp, uintptr_t value)
{
    struct memo *memo = lesson->memo;
    if (memo->count == MEMO_CHECKS)
        return false;
    memo->checks[memo->count++] =
        (struct memo_check){where, from_sp, from_sp ? value - lesson->start : value};
    return true;
}

// Reads a word of the stack; *ret_where is its offset. false: outside the view.
FRAME_READS static bool load(struct lesson *lesson, uintptr_t address, uintptr_t *ret,
                             uint32_t *ret_where)
{
    uintptr_t offset = address - lesson->start;
    if (address < lesson->start || offset >= MEMO_REGISTER - sizeof(uintptr_t) ||
        !view_load(lesson->view, address, ret))
        return false;
    *ret_where = (uint32_t)offset;
    if (offset + sizeof(uintptr_t) > lesson->memo->reach)
        lesson->memo->reach = (uint32_t)(offset + sizeof(uintptr_t));
    return true;
}

// One step; *ret_pc is the caller's. false: it depends on more than a memo holds.
static bool learn_step(struct lesson *lesson, const struct rule *rule, uintptr_t *ret_pc)
{
    if (rule->flags & (RULE_ROW | RULE_POINTER | RULE_SIGNAL | RULE_RA_IN_REGISTER) || rule->lost)
        return false;
    uintptr_t base = lesson->sp;
    if (rule->base != RULE_BASE_SP) {
        base = lesson->saved[rule->base];
        if (!depend(lesson, lesson->source[rule->base], true, base))
            return false;
    }
    uintptr_t cfa = base + (uintptr_t)(intptr_t)rule->cfa_offset;
    uint32_t where;
    if (!load(lesson, cfa + (uintptr_t)(intptr_t)rule->ra_offset, ret_pc, &where) ||
        !depend(lesson, where, false, *ret_pc))
        return false;
    for (unsigned i = 0; i < ARCH_SAVED; i++)
        if (rule->stored >> i & 1 && !load(lesson, cfa + (uintptr_t)(intptr_t)rule->offsets[i],
                                           &lesson->saved[i], &lesson->source[i]))
            return false;
    lesson->sp = cfa;
    *ret_pc = arch_code_address(*ret_pc);
    return true;
}

static bool learn(struct lesson *lesson, const struct stack *stack)
{
    for (unsigned i = 0; i < stack->depth; i++) {
        struct rule rule;
        uintptr_t pc;
        bool last = i + 1 == stack->depth;
        if (rules_find(stack->frames[i] - 1, &rule) < 0)
            return false;
        if (rule.flags & RULE_OUTERMOST)
            return last;
        // What does not come out as it did has changed meanwhile.
        if (!learn_step(lesson, &rule, &pc) || pc != (last ? 0 : stack->frames[i + 1]))
            return false;
    }
    return true;
}

void memo_learn(struct memo *memo, const struct arch_regs *regs, const struct unwind_view *view,
                stack_id id)
{
    *memo = (struct memo){.pc = regs->pc,
                          .generation = maps_generation(),
                          .sp_low = (uint32_t)(regs->sp % ALIGNMENT)};
    struct lesson lesson = {.view = view, .memo = memo, .start = regs->sp, .sp = regs->sp};
    for (unsigned i = 0; i < ARCH_SAVED; i++) {
        lesson.saved[i] = regs->saved[i];
        lesson.source[i] = MEMO_REGISTER | i;
    }
    const struct stack *stack = stack_get(id);
    if (stack->end == STACK_WHOLE && stack->depth && learn(&lesson, stack))
        memo->stack = id;
}
