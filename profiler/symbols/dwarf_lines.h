// Functions, files, lines and inlined calls from DWARF, through libdw.
//
// libdw calls malloc and is not thread-safe: all functions here but the counters are for one
// thread, the DWARF thread, alone. Memory grows with the compile units that were asked about.

#pragma once

#include "profiler/symbols/elf_file.h"

struct dwarf_lines;

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

// Opens the DWARF of what is mapped, or of a file whose debug file is looked for from `path`.
// 0 and *ret; -ENODATA: there is none; -ECANCELED: not now; or a negative errno.
int dwarf_lines_open(const struct mapping *mapping, struct dwarf_lines **ret);
int dwarf_lines_open_file(const struct elf_file *file, const char *path, struct dwarf_lines **ret);
void dwarf_lines_close(struct dwarf_lines *lines); // NULL is ignored

// What stands at an address of the file. false: nothing is known. The first address of a compile
// unit costs one walk over it, all others O(log n).
bool dwarf_lines_find(struct dwarf_lines *lines, uint64_t address, struct dwarf_answer *ret);

// Whether the last frame's function had better be called by this name, the symbol table's: DWARF
// has none, or not the linker's. (One that only adds ".cold" or the like to DWARF's is not better.)
bool dwarf_answer_lacks_name(const struct dwarf_answer *answer, const char *name, size_t length);

// Counters that only grow; any thread. Steps of any kind; walks over a compile unit's entries.
uint64_t dwarf_lines_progress(void);
uint64_t dwarf_lines_walks(void);

// Called after each step, on the thread that takes it; false: whoever opens something had better
// give up, with -ECANCELED. Set it before the first step.
void dwarf_lines_on_step(bool (*go_on)(void));

// For the parts of this module: count a step (a fraction of a millisecond mostly), a walk.
bool dwarf_lines_step(void); // whether to go on
void dwarf_lines_walk(void);
