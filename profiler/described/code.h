// Which types the functions at a code address speak of: those of their parameters and variables,
// inlined functions' among them. Kept for each address. Only for the types thread.

#pragma once

#include "profiler/described/binaries.h"

enum { CODE_OTHERS_MAX = 24 };

struct code {
    uintptr_t address;
    bool has_function;  // DWARF knows what stands there
    uint64_t described; // bit i: description i's type, or a pointer to it
    const struct binary *binary;
    bool others_full;
    unsigned other_count;
    Dwarf_Die others[CODE_OTHERS_MAX]; // structures of other types, or pointed to
};

// What stands at an address (not a return address); valid until code_trim. NULL: there is no room.
const struct code *code_at(struct described_file *file, uintptr_t address);

// Forgets all if there is no room for more.
void code_trim(void);
void code_forget(void);
