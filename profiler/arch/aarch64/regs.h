// aarch64 (AAPCS64): which registers a call preserves, and their DWARF numbers.
// Source: Procedure Call Standard for the Arm 64-bit Architecture, 6.1.1; DWARF for the Arm 64-bit
// Architecture, 4.1.

#pragma once

#include <stddef.h>
#include <stdint.h>

// The callee-saved registers, in the order of arch_regs.saved: x19 … x28, x29 (fp), x30 (lr). The
// link register is no register that a call preserves, but a leaf frame's return address is there.
enum arch_saved {
    ARCH_X19,
    ARCH_FP = ARCH_X19 + 10, // x29
    ARCH_LR,                 // x30
    ARCH_SAVED
};

// The layout is known to park.S.
struct arch_regs {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t saved[ARCH_SAVED];
};

enum {
    ARCH_DWARF_SP = 31,
    ARCH_DWARF_RA = 30,
    ARCH_RA_IN_REGISTER = 1, // a call puts the return address into x30
    ARCH_STACK_ALIGN = 16,
};

static inline int arch_saved_index(uint64_t dwarf)
{
    return dwarf >= 19 && dwarf <= 30 ? (int)(dwarf - 19) : -1;
}

// Return addresses may be signed (pointer authentication): the signature is in the bits above the
// 48 of a user address.
static inline uintptr_t arch_code_address(uintptr_t address)
{
    return address & (((uintptr_t)1 << 48) - 1);
}
