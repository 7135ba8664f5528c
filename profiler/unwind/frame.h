// One step of an unwind, as its parts share it: the registers of a frame and the memory they point
// into.

#pragma once

#include "profiler/unwind/cfi.h"
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

// The word at `address`, if it lies in the view.
FRAME_READS static inline bool view_load(const struct unwind_view *view, uintptr_t address,
                                         uintptr_t *ret)
{
    if (address % sizeof(uintptr_t) || address < view->low || address >= view->high ||
        view->high - address < sizeof(uintptr_t))
        return false;
    if (view->copy)
        memcpy(ret, (const char *)view->copy + (address - view->low), sizeof(*ret));
    else
        // Acquire: keeps a collector's reads before its second look at the task's sequence.
        *ret = __atomic_load_n((const uintptr_t *)address, __ATOMIC_ACQUIRE);
    return true;
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
