// Symbols of an ELF image in memory: the vdso, and files that were deleted or replaced. There are
// no sections in memory, but PT_DYNAMIC leads to .dynsym. Everything is read through the kernel:
// the image may be unmapped while it is read, or be no image at all.

#pragma once

#include "profiler/symbols/elf_symbols.h"

// The names of the image that is mapped there. 0 and *ret, or a negative errno.
int elf_image_symbols(const struct mapping *mapping, struct elf_symbols *ret);
