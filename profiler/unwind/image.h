// An ELF image as it lies in memory: where it was loaded, its build id, its unwind information.
// Nothing is dereferenced: a dlclose may take the pages away at any moment.

#pragma once

#include "profiler/unwind/maps.h"

#include <elf.h>

struct image_range {
    uintptr_t address; // in memory
    size_t length;     // 0: there is none
};

struct image {
    uintptr_t bias;
    struct image_range eh_frame_hdr;
    struct image_range eh_frame; // up to the end of its segment
    unsigned build_id_length;
    unsigned char build_id[BUILD_ID_MAX];
};

enum { IMAGE_SEGMENTS_MAX = 128, IMAGE_NOTES_MAX = 16 * 1024 };

// Room to read into, too much for a small stack.
struct image_scratch {
    Elf64_Phdr segments[IMAGE_SEGMENTS_MAX];
    unsigned char notes[IMAGE_NOTES_MAX];
};

// Reads the image whose ELF header lies at `header` and one of whose executable segments is mapped
// at `start` from `offset` of the file. 0 and *ret, or a negative errno.
int image_read(uintptr_t header, uintptr_t start, uint64_t offset, struct image_scratch *scratch,
               struct image *ret);
