// A file's DWARF in memory, opened with libdw.
//
// libdw gets a copy of the debug sections instead of the file: mapping the file would kill the
// process when it is cut short, and a descriptor kept open may be closed by an application that
// closes all of them. libdw calls malloc: only for the DWARF thread.

#pragma once

#include "profiler/symbols/elf_file.h"

#include <elfutils/libdw.h>

struct dwarf_image {
    void *bytes;
    size_t size;
    Elf *elf;
    Dwarf *dwarf;
};

// Loads the debug sections of `file`. 0 and *ret; -EFBIG: more than the process should be burdened
// with; -ECANCELED; or a negative errno. `go_on` is called now and then; false cancels.
int dwarf_image_open(const struct elf_file *file, bool (*go_on)(void), struct dwarf_image *ret);

// Loads the file that .gnu_debugaltlink of `image` (read from `file`) names: what several programs
// have in common. 0 and *ret; -ENOENT: it names none, or one that is not there.
int dwarf_image_open_shared(const struct dwarf_image *image, const struct elf_file *file,
                            bool (*go_on)(void), struct dwarf_image *ret);

void dwarf_image_close(struct dwarf_image *image);
