// The rule for a code address: where its caller's registers lie. Compiled once, then kept in a
// cache that is read without a lock.

#pragma once

#include "profiler/base/intern.h"
#include "profiler/unwind/cfi.h"

enum { RULE_BASE_SP = 0xff };

enum rule_flags {
    RULE_POINTER = 1,        // no unwind information: step by the frame pointer
    RULE_ROW = 2,            // only the full row, `row`, says it
    RULE_SIGNAL = 4,         // the caller was interrupted
    RULE_OUTERMOST = 8,      // there is no caller
    RULE_RA_IN_REGISTER = 16 // the return address is in its register still
};

// CFA = register `base` + cfa_offset; a register of `stored` lies at CFA + its offset, one of
// `lost` has no value in the caller, all others are as they were.
struct rule {
    int32_t cfa_offset;
    uint16_t stored; // bits of arch_regs.saved
    uint16_t lost;
    uint8_t base; // index in arch_regs.saved, or RULE_BASE_SP
    uint8_t flags;
    int16_t ra_offset;
    int16_t lowest; // of all offsets that are read, so that one check does for all of them
    int16_t highest;
    int16_t offsets[ARCH_SAVED]; // multiples of a word, as ra_offset
    uint32_t row;                // rules_row
} __attribute__((aligned(8)));

_Static_assert(sizeof(struct rule) % 8 == 0, "kept and copied in whole words");

extern struct intern rules_rows; // full rows and their expressions

// The rule for the instruction at `pc`. 0; -ENOENT: pc is in no executable mapping.
// Any thread; keeps errno.
int rules_find(uintptr_t pc, struct rule *ret);

// The full row of a rule with RULE_ROW; valid as long as the section or hold (base/epoch.h) in
// which the rule was found. NULL: it could not be kept.
const struct cfi_row *rules_row(const struct rule *rule);

void rules_after_fork(void);
