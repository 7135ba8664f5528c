// Where function names are loaded from: a file, its separate debug file, or, where the file is
// gone, the image in memory. No malloc, no lock of the loader.

#pragma once

#include "profiler/symbols/elf_symbols.h"

// Loads the names of what is mapped. 0 and *ret, or a negative errno.
int elf_symbols_load(const struct mapping *mapping, struct elf_symbols *ret);

// Those of a file: of .symtab, else of its debug file's, else .dynsym; `path` is where its debug
// file is looked for.
int elf_symbols_load_file(const struct elf_file *file, const char *path, struct elf_symbols *ret);
