// Functions, files, lines and inlined calls from DWARF, through libdw.
//
// libdw calls malloc and is not thread-safe: all functions here are for one thread, the
// DWARF thread, alone. Memory grows with the compile units that were asked about.

#pragma once

#include "profiler/symbols/dwarf_answer.h"
#include "profiler/symbols/elf_file.h"

struct dwarf_lines;

// Opens the DWARF of what is mapped, or of a file whose debug file is looked for from `path`.
// 0 and *ret; -ENODATA: there is none; -ECANCELED: not now; or a negative errno.
int dwarf_lines_open(const struct mapping *mapping, struct dwarf_lines **ret);
int dwarf_lines_open_file(const struct elf_file *file, const char *path, struct dwarf_lines **ret);
void dwarf_lines_close(struct dwarf_lines *lines); // NULL is ignored

// What stands at an address of the file. false: nothing is known. The first address of a compile
// unit costs one walk over it, all others O(log n).
bool dwarf_lines_find(struct dwarf_lines *lines, uint64_t address, struct dwarf_answer *ret);
