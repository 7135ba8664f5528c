// What DWARF says of one address.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DWARF_FRAMES_MAX = 64 }; // inlined calls in each other, and the function around them

// Strings are valid until dwarf_lines_close; NULL when not known.
struct dwarf_frame {
    const char *function;
    const char *file;
    uint32_t line;
    uint32_t start_line;
};

struct dwarf_answer {
    struct dwarf_frame frames[DWARF_FRAMES_MAX]; // innermost first
    unsigned count;                              // at least 1
    uint64_t entry;       // of the function, an address of the file; 0: not known
    bool not_linker_name; // the last frame's function is named as in the source, and the language
                          // is one that mangles names
};

// Whether the last frame's function had better be called by this name, the symbol table's: DWARF
// has none, or not the linker's. (One that only adds ".cold" or the like to DWARF's is not better.)
bool dwarf_answer_lacks_name(const struct dwarf_answer *answer, const char *name, size_t length);
