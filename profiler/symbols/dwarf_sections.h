// The debug sections of a file that anything is asked of, and how they are unpacked.
//
// libdw would unpack every compressed section of a file as it opens it, whole, beside a copy of
// what is packed. No malloc but zlib's: only for the DWARF thread.

#pragma once

#include "profiler/symbols/elf_file.h"

enum { DWARF_SECTIONS_MAX = 12 };

struct dwarf_section {
    const char *name; // libdw's for it, whatever the file calls it
    uint64_t size;    // unpacked
    uint64_t offset;  // in the file, of the data themselves
    uint64_t stored;  // bytes there
    bool packed;
};

// The sections there are, at most DWARF_SECTIONS_MAX. Returns how many.
size_t dwarf_sections_find(const struct elf_file *file, struct dwarf_section *ret);

// All sections' bytes, unpacked; UINT64_MAX when that is beyond all measure.
uint64_t dwarf_sections_size(const struct dwarf_section *sections, size_t count);

// Writes section->size bytes to `into`, which was zeroes. 0; -EBADMSG: it can't be unpacked;
// -ECANCELED: `go_on`, called every fraction of a millisecond, said so; or a negative errno.
int dwarf_section_load(const struct elf_file *file, const struct dwarf_section *section, void *into,
                       bool (*go_on)(void));
