// x86-64: where a signal met a thread. Source: sys/ucontext.h, and sigaction in the kernel's
// arch/x86/include/uapi/asm/signal.h.

#pragma once

#include "profiler/arch/regs.h"

#include <ucontext.h>

// In a signal's handler: nothing of a sanitizer's may run there.
__attribute__((no_sanitize("address", "thread", "undefined"))) static inline void
arch_interrupted(const ucontext_t *at, struct arch_regs *ret)
{
    const greg_t *from = at->uc_mcontext.gregs;
    *ret = (struct arch_regs){
        .pc = (uintptr_t)from[REG_RIP],
        .sp = (uintptr_t)from[REG_RSP],
        .saved = {[ARCH_RBX] = (uintptr_t)from[REG_RBX],
                  [ARCH_FP] = (uintptr_t)from[REG_RBP],
                  [ARCH_R12] = (uintptr_t)from[REG_R12],
                  [ARCH_R13] = (uintptr_t)from[REG_R13],
                  [ARCH_R14] = (uintptr_t)from[REG_R14],
                  [ARCH_R15] = (uintptr_t)from[REG_R15]},
    };
}

// What a handler returns to: the kernel wants the caller's own.
void arch_signal_return(void);
#define ARCH_SA_RESTORER 0x04000000ul
