// Which file on disk belongs to a mapping, and where its separate debug file is.

#pragma once

#include "profiler/symbols/elf_file.h"

// Opens the file that is mapped: the one at the mapping's path, or /proc/self/exe where that path
// leads to another file by now. It is taken only if its build id is the mapping's or, where one of
// the two has none, its device and inode are. 0 and *ret, or a negative errno (-ESTALE: replaced).
int elf_find_mapped(const struct mapping *mapping, struct elf_file *ret);

// Opens the separate debug file of `file`, by build id, then by .gnu_debuglink seen from the
// directory of `path`. 0 and *ret, or -ENOENT.
int elf_find_debug(const struct elf_file *file, const char *path, struct elf_file *ret);

// Opens the file with this build id under the system's debug directory. 0 and *ret, or -ENOENT.
int elf_find_build_id(const unsigned char *build_id, size_t length, struct elf_file *ret);
