// aarch64: where a signal met a thread. Source: sys/ucontext.h.

#pragma once

#include "profiler/arch/regs.h"

#include <ucontext.h>

// In a signal's handler: nothing of a sanitizer's may run there.
__attribute__((no_sanitize("address", "thread", "undefined"))) static inline void
arch_interrupted(const ucontext_t *at, struct arch_regs *ret)
{
    *ret = (struct arch_regs){.pc = at->uc_mcontext.pc, .sp = at->uc_mcontext.sp};
    for (int i = 0; i < ARCH_SAVED; i++)
        ret->saved[i] = at->uc_mcontext.regs[19 + i];
}

// The kernel has a place of its own for handlers to return to.
#define ARCH_SA_RESTORER 0ul
static inline void arch_signal_return(void)
{
}
