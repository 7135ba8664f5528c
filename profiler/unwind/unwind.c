#include "profiler/unwind/unwind.h"

#include "profiler/unwind/frame.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/rules.h"

// The caller of a frame whose rule is compact: the usual case, and all that is fast here.
FRAME_READS static inline unsigned step_compact(const struct rule *rule,
                                                const struct unwind_view *view, struct frame *frame,
                                                bool *ret_outermost)
{
    uintptr_t base = frame->regs.sp;
    if (rule->base != RULE_BASE_SP) {
        if (!(frame->known >> rule->base & 1))
            return STACK_NO_REGISTER;
        base = frame->regs.saved[rule->base];
    }
    uintptr_t cfa = base + (uintptr_t)(intptr_t)rule->cfa_offset;
    // Nothing is read when the return address is in its register and nothing else was stored.
    if (rule->lowest <= rule->highest &&
        !view_holds(view, frame_slot(cfa, rule->lowest), frame_slot(cfa, rule->highest))) {
        *ret_outermost = frame_at_the_top(rule, base, view, frame->regs.sp);
        return *ret_outermost ? STACK_WHOLE : STACK_BAD_FRAME;
    }
    uintptr_t pc;
    if (!(rule->flags & RULE_RA_IN_REGISTER))
        pc = view_word(view, frame_slot(cfa, rule->ra_offset));
    else if (!frame_register(frame, ARCH_DWARF_RA, &pc))
        return STACK_NO_REGISTER;
    for (unsigned left = rule->stored; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        frame->regs.saved[i] = view_word(view, frame_slot(cfa, rule->offsets[i]));
    }
    frame->known = (frame->known | rule->stored) & ~(unsigned)rule->lost;
    frame->regs.sp = cfa;
    frame->regs.pc = arch_code_address(pc);
    return 0;
}

// The caller of a frame of code without unwind information: where the frame pointer would have it,
// if all that can be checked is in order.
FRAME_READS static unsigned step_pointer(const struct unwind_view *view, struct frame *frame)
{
    uintptr_t fp = frame->regs.saved[ARCH_FP];
    uintptr_t pc;
    if (!(frame->known >> ARCH_FP & 1) || fp < frame->regs.sp ||
        !view_load(view, fp, &frame->regs.saved[ARCH_FP]) ||
        !view_load(view, fp + sizeof(uintptr_t), &pc))
        return STACK_NO_RULE;
    // That code may have changed every other register.
    frame->known = 1u << ARCH_FP;
    frame->regs.sp = fp + 2 * sizeof(uintptr_t);
    frame->regs.pc = arch_code_address(pc);
    return 0;
}

// Goes from a frame to its caller. 0; STACK_WHOLE with *ret_outermost; or why it can't.
FRAME_READS static inline unsigned step(const struct rule *rule, const struct unwind_view *view,
                                        struct frame *frame, bool *ret_outermost)
{
    *ret_outermost = rule->flags & RULE_OUTERMOST;
    if (*ret_outermost)
        return STACK_WHOLE;
    uintptr_t sp = frame->regs.sp;
    unsigned end;
    if (__builtin_expect(!(rule->flags & (RULE_ROW | RULE_POINTER)), 1)) {
        end = step_compact(rule, view, frame, ret_outermost);
    } else if (rule->flags & RULE_POINTER) {
        end = step_pointer(view, frame);
    } else {
        const struct cfi_row *row = rules_row(rule);
        end = row ? frame_step_row(row, view, frame, ret_outermost) : STACK_NO_RULE;
    }
    if (end || *ret_outermost)
        return end;
    // A leaf that pushed nothing has its caller's sp, but only once: the return address was in its
    // register, and the caller's is not.
    bool rose = frame->regs.sp > sp || (frame->regs.sp == sp && rule->flags & RULE_RA_IN_REGISTER);
    if (!rose || frame->regs.sp % ARCH_STACK_ALIGN || frame->regs.sp > view->high)
        return STACK_BAD_FRAME;
    return 0;
}

// After a call the register that a call puts the return address into holds no value of the
// caller's.
static void forget_clobbered(struct frame *frame, bool interrupted)
{
    int ra = ARCH_RA_IN_REGISTER ? arch_saved_index(ARCH_DWARF_RA) : -1;
    if (ra >= 0 && !interrupted)
        frame->known &= ~(1u << ra);
}

FRAME_READS unsigned unwind(const struct arch_regs *regs, unsigned known, bool pc_is_exact,
                            const struct unwind_view *view, uintptr_t *frames, unsigned max,
                            unsigned *ret_end)
{
    struct frame frame = {.regs = *regs, .known = known};
    bool exact = pc_is_exact;
    bool by_pointer = false; // whether the last step was a guess
    unsigned depth = 0;
    for (;;) {
        struct rule rule;
        bool mapped = rules_find(frame.regs.pc - !exact, &rule) == 0;
        if (!mapped && depth) {
            *ret_end = by_pointer ? STACK_NO_RULE : STACK_BAD_FRAME;
            return depth;
        }
        if (depth == max) {
            *ret_end = STACK_TOO_DEEP;
            return depth;
        }
        frames[depth++] = frame.regs.pc + exact;
        if (!mapped) {
            *ret_end = STACK_BAD_FRAME;
            return depth;
        }
        bool outermost;
        unsigned end = step(&rule, view, &frame, &outermost);
        if (end || outermost || frame.regs.pc == 0) {
            *ret_end = end;
            return depth;
        }
        exact = rule.flags & RULE_SIGNAL;
        by_pointer = rule.flags & RULE_POINTER;
        forget_clobbered(&frame, exact);
    }
}

// The stack that the calling thread was born with, once it was looked up. Initial-exec: no call of
// the loader's, which might malloc.
static __thread struct {
    uintptr_t low;
    uintptr_t high;
} own_stack __attribute__((tls_model("initial-exec")));

// The top of the stack that holds `sp`, at which the calling thread runs.
static uintptr_t top_of(uintptr_t sp)
{
    if (sp >= own_stack.low && sp < own_stack.high)
        return own_stack.high;
    struct proc_map map;
    bool main_stack;
    if (!maps_line_of(sp, &map, &main_stack) || !map.readable)
        return 0;
    // A thread's descriptor, where the thread pointer points to, lies at the top of its stack.
    // The stack of a coroutine is not kept: it may be gone when another one has its addresses.
    uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
    bool own = thread > sp && thread < map.limit;
    uintptr_t high = own ? thread & -(uintptr_t)sizeof(uintptr_t) : map.limit;
    if (own || main_stack) {
        own_stack.low = map.start;
        own_stack.high = high;
    }
    return high;
}

void unwind_own_stack(uintptr_t low)
{
    own_stack.low = low;
    own_stack.high = (uintptr_t)__builtin_thread_pointer() & -(uintptr_t)sizeof(uintptr_t);
}

stack_id unwind_here(const struct arch_regs *regs, uintptr_t high)
{
    struct unwind_view view = {.low = regs->sp, .high = high ? high : top_of(regs->sp)};
    uintptr_t frames[STACK_CREATION_DEPTH];
    unsigned end;
    unsigned depth =
        unwind(regs, UNWIND_ALL_KNOWN, false, &view, frames, STACK_CREATION_DEPTH, &end);
    return stack_intern(frames, depth, end);
}

void unwind_after_fork(void)
{
    rules_after_fork();
    maps_after_fork();
}
