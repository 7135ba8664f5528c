// Call frame information: from the bytes of .eh_frame to the row for one address.
//
// Pure functions of the bytes that they are given. The bytes may be anything: every read is checked
// and every loop is bounded.

#pragma once

#include "profiler/arch/regs.h"
#include "profiler/unwind/cursor.h"

// A section's bytes, and the address of the first one in the running process, which the relative
// pointers in it count from.
struct cfi_section {
    const uint8_t *bytes;
    size_t length;
    uintptr_t address;
};

struct cfi_sections {
    struct cfi_section header; // .eh_frame_hdr; length 0: none, .eh_frame is then searched
    struct cfi_section frames; // .eh_frame, perhaps with what lies behind it
};

// How the caller's value of a register is found.
enum cfi_kind {
    CFI_UNSPECIFIED,    // the ABI decides: a saved register is as it was
    CFI_SAME,           // as it was
    CFI_UNDEFINED,      // lost; for the return address: there is no caller
    CFI_OFFSET,         // in memory at CFA + offset
    CFI_VAL_OFFSET,     // CFA + offset itself
    CFI_REGISTER,       // in the register with the DWARF number `offset`
    CFI_EXPRESSION,     // in memory at the expression's address
    CFI_VAL_EXPRESSION, // the expression's value
};

struct cfi_rule {
    uint32_t kind; // enum cfi_kind
    uint32_t length;
    int64_t offset;
    const uint8_t *expression; // `length` bytes within the section
};

// The rules that hold at one address. The CFA is cfa_register + cfa.offset (CFI_VAL_OFFSET), or the
// value of an expression (CFI_VAL_EXPRESSION); CFI_UNSPECIFIED when nothing said what it is.
struct cfi_row {
    struct cfi_rule cfa;
    uint64_t cfa_register; // DWARF number
    struct cfi_rule saved[ARCH_SAVED];
    struct cfi_rule ra;
    uint64_t signal_frame; // not 0: the caller was interrupted, its pc is exact
};

enum { CFI_REMEMBER_MAX = 16 };

// What executing needs besides its result; too much for an application's small stack.
struct cfi_scratch {
    struct cfi_row initial;
    struct cfi_row remembered[CFI_REMEMBER_MAX];
};

// The row for the instruction at `pc` into *ret, which is garbage on failure.
// 0; -ENOENT: no entry covers pc; -EINVAL: the bytes make no sense.
int cfi_row_at(const struct cfi_sections *sections, uintptr_t pc, struct cfi_scratch *scratch,
               struct cfi_row *ret);

// A pointer in one of the encodings of the LSB. `cursor` must lie in `section`; `data` is what
// DW_EH_PE_datarel counts from. false: it does not fit, or can't be known without more memory.
bool cfi_pointer(struct cursor *cursor, const struct cfi_section *section, uint8_t encoding,
                 uintptr_t data, uintptr_t *ret);

// Finding an address's entry (FDE): its offset in sections->frames, or SIZE_MAX.
size_t cfi_search(const struct cfi_sections *sections, uintptr_t pc);

// One entry of .eh_frame, its common entry (CIE) among it.
struct cfi_entry {
    uintptr_t start;
    uintptr_t limit; // first address behind the code it covers
    uint64_t code_align;
    int64_t data_align;
    uint64_t ra_register;
    uint8_t encoding; // of its pointers
    bool signal_frame;
    struct cursor common; // the program of the CIE
    struct cursor own;    // the program of the FDE
    size_t next;          // offset of the entry behind it
};

// Parses the entry at `offset`. 0; -ENOENT: it is a CIE, ret->next alone is set; -ENODATA: the end
// of the section; -EINVAL: it makes no sense, ret->next is set if its length did (else SIZE_MAX).
int cfi_entry_at(const struct cfi_sections *sections, size_t offset, struct cfi_entry *ret);
