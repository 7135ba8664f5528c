// One step of an unwind, as its parts share it: the registers of a frame and the memory they point
// into.

#pragma once

#include "profiler/unwind/rules.h"
#include "profiler/unwind/unwind.h"

// The memory is another thread's stack, which may be written while it is read, and around it lie
// what the sanitizers call red zones: they must not look at these reads.
#if defined(__clang__)
#define FRAME_READS __attribute__((no_sanitize("address", "thread")))
#else
#define FRAME_READS __attribute__((no_sanitize_address, no_sanitize_thread))
#endif

struct frame {
    struct arch_regs regs;
    unsigned known; // bits of `saved` that hold the frame's values
};

// Whether the words from `first` to `last` lie in the view, aligned.
static inline bool view_holds(const struct unwind_view *view, uintptr_t first, uintptr_t last)
{
    return first >= view->low && first <= last && last < view->high &&
           view->high - last >= sizeof(uintptr_t) && (first | last) % sizeof(uintptr_t) == 0;
}

// A word that lies in the view.
FRAME_READS static inline uintptr_t view_word(const struct unwind_view *view, uintptr_t address)
{
    if (!view->copy)
        // Acquire: keeps a collector's reads before its second look at the task's sequence.
        return __atomic_load_n((const uintptr_t *)address, __ATOMIC_ACQUIRE);
    uintptr_t word;
    memcpy(&word, (const char *)view->copy + (address - view->low), sizeof(word));
    return word;
}

// The word at `address`, if it lies in the view.
FRAME_READS static inline bool view_load(const struct unwind_view *view, uintptr_t address,
                                         uintptr_t *ret)
{
    if (!view_holds(view, address, address))
        return false;
    *ret = view_word(view, address);
    return true;
}

static inline uintptr_t frame_slot(uintptr_t cfa, int16_t offset)
{
    return cfa + (uintptr_t)(intptr_t)offset;
}

// Whether a frame that lies at the very top has no caller on this stack: a coroutine's first
// function is often jumped to, so that no return address was ever pushed. A copy may be cut short:
// its top tells nothing.
static inline bool frame_at_the_top(const struct rule *rule, uintptr_t base,
                                    const struct unwind_view *view, uintptr_t sp)
{
    if (view->copy || rule->cfa_offset < 0 || rule->flags & RULE_RA_IN_REGISTER)
        return false;
    uintptr_t at = frame_slot(base + (uintptr_t)rule->cfa_offset, rule->ra_offset);
    return sp >= view->low && base >= sp && base <= view->high && at >= view->high;
}

// The value of a DWARF expression. `initial` (may be NULL) is pushed first.
// 0; -ENODATA: it needs a register that is not known; -EINVAL: it makes no sense, or reads outside
// the view.
int cfi_expression(const uint8_t *bytes, size_t length, const uintptr_t *initial,
                   const struct frame *frame, const struct unwind_view *view, uintptr_t *ret);

// The value of the register with this DWARF number. false: not known.
bool frame_register(const struct frame *frame, uint64_t dwarf, uintptr_t *ret);

// Steps by a full row. *frame is changed on success only. 0 or an enum stack_end; *ret_outermost
// tells that there is no caller.
unsigned frame_step_row(const struct cfi_row *row, const struct unwind_view *view,
                        struct frame *frame, bool *ret_outermost);
