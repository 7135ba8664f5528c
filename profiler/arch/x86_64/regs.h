// x86-64 (System V ABI): which registers a call preserves, and their DWARF numbers.
// Source: System V Application Binary Interface, AMD64 supplement, figures 3.4 and 3.36.

#pragma once

#include <stddef.h>
#include <stdint.h>

// The callee-saved registers, in the order of arch_regs.saved.
enum arch_saved {
    ARCH_RBX,
    ARCH_FP, // rbp
    ARCH_R12,
    ARCH_R13,
    ARCH_R14,
    ARCH_R15,
    ARCH_SAVED
};

// The layout is known to park.S.
struct arch_regs {
    uintptr_t pc;
    uintptr_t sp;
    uintptr_t saved[ARCH_SAVED];
};

enum {
    ARCH_DWARF_SP = 7,
    ARCH_DWARF_RA = 16,
    ARCH_RA_IN_REGISTER = 0, // a call pushes the return address
    ARCH_STACK_ALIGN = 8,    // every frame's CFA is a multiple of this
};

// A DWARF register number as an index into arch_regs.saved, or -1 for any other register.
static inline int arch_saved_index(uint64_t dwarf)
{
    switch (dwarf) {
    case 3:
        return ARCH_RBX;
    case 6:
        return ARCH_FP;
    case 12:
    case 13:
    case 14:
    case 15:
        return ARCH_R12 + (int)(dwarf - 12);
    default:
        return -1;
    }
}

// A code address without what the architecture may hide in its upper bits.
static inline uintptr_t arch_code_address(uintptr_t address)
{
    return address;
}
