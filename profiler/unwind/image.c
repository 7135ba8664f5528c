#include "profiler/unwind/image.h"

#include "profiler/base/safe_read.h"
#include "profiler/unwind/cfi.h"
#include "profiler/unwind/dwarf_constants.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 4096 };

// Far above any real one (a browser's has some 30 MiB): what bounds a hostile header.
static const size_t eh_frame_max = (size_t)256 << 20;

static bool read_exactly(uintptr_t address, void *into, size_t length)
{
    return safe_read(address, into, length) == (ssize_t)length;
}

static int read_segments(uintptr_t header, struct image_scratch *scratch)
{
    Elf64_Ehdr ehdr;
    if (!read_exactly(header, &ehdr, sizeof(ehdr)))
        return -EFAULT;
    if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
        ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_phentsize != sizeof(Elf64_Phdr) ||
        ehdr.e_phnum == 0 || ehdr.e_phnum > IMAGE_SEGMENTS_MAX)
        return -ENOEXEC;
    if (!read_exactly(header + ehdr.e_phoff, scratch->segments,
                      ehdr.e_phnum * sizeof(scratch->segments[0])))
        return -EFAULT;
    return ehdr.e_phnum;
}

// The load address, from the executable segment that holds `offset` of the file: segments are
// mapped in whole pages.
static bool find_bias(const Elf64_Phdr *segments, int count, uintptr_t start, uint64_t offset,
                      uintptr_t *ret)
{
    for (int i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &segments[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
            segment->p_filesz > UINT64_MAX - segment->p_offset)
            continue;
        if (offset >= (segment->p_offset & -(uint64_t)PAGE) &&
            offset < segment->p_offset + segment->p_filesz) {
            *ret = start - offset + segment->p_offset - segment->p_vaddr;
            return true;
        }
    }
    return false;
}

// How many bytes of loaded file lie from `address` to the end of its segment.
static size_t loaded_from(const Elf64_Phdr *segments, int count, uintptr_t bias, uintptr_t address)
{
    uint64_t vaddr = address - bias;
    for (int i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &segments[i];
        if (segment->p_type == PT_LOAD && vaddr >= segment->p_vaddr &&
            vaddr - segment->p_vaddr < segment->p_filesz)
            return segment->p_filesz - (vaddr - segment->p_vaddr);
    }
    return 0;
}

static struct image_range range_at(const Elf64_Phdr *segments, int count, uintptr_t bias,
                                   uintptr_t address, uint64_t length)
{
    uint64_t most = loaded_from(segments, count, bias, address);
    if (length > most)
        length = most;
    if (length > eh_frame_max)
        length = eh_frame_max;
    return (struct image_range){.address = address, .length = length};
}

static void find_eh_frame(const Elf64_Phdr *segments, int count, struct image *image)
{
    for (int i = 0; i < count; i++) {
        if (segments[i].p_type != PT_GNU_EH_FRAME)
            continue;
        uintptr_t address = image->bias + segments[i].p_vaddr;
        struct image_range header =
            range_at(segments, count, image->bias, address, segments[i].p_memsz);
        // Version, three encodings, then the address of .eh_frame in the first of these.
        uint8_t bytes[12];
        if (header.length < sizeof(bytes) || !read_exactly(address, bytes, sizeof(bytes)))
            continue;
        struct cfi_section section = {.bytes = bytes, .length = sizeof(bytes), .address = address};
        struct cursor cursor = cursor_of(bytes, sizeof(bytes));
        cursor_skip(&cursor, 4);
        uintptr_t frames;
        if (bytes[0] != 1 || bytes[1] == DW_EH_PE_omit ||
            !cfi_pointer(&cursor, &section, bytes[1], address, &frames))
            continue;
        image->eh_frame_hdr = header;
        image->eh_frame = range_at(segments, count, image->bias, frames, UINT64_MAX);
        return;
    }
}

// Looks for the build id in one segment of notes. Names and descriptions are padded to 4 bytes, in
// segments aligned to 8 to these.
static bool build_id_in(const unsigned char *notes, size_t length, size_t align,
                        struct image *image)
{
    struct cursor cursor = cursor_of(notes, length);
    while (cursor_left(&cursor) >= 12) {
        uint64_t name_length = cursor_unsigned(&cursor, 4);
        uint64_t length_ = cursor_unsigned(&cursor, 4);
        uint64_t type = cursor_unsigned(&cursor, 4);
        const uint8_t *name = cursor_skip(&cursor, name_length);
        cursor_skip(&cursor, -(size_t)(cursor.at - notes) % align);
        const uint8_t *description = cursor_skip(&cursor, length_);
        if (!name || !description)
            return false;
        if (type == NT_GNU_BUILD_ID && name_length == 4 && memcmp(name, "GNU", 4) == 0 &&
            length_ > 0 && length_ <= BUILD_ID_MAX) {
            memcpy(image->build_id, description, length_);
            image->build_id_length = (unsigned)length_;
            return true;
        }
        cursor_skip(&cursor, -(size_t)(cursor.at - notes) % align);
    }
    return false;
}

static void find_build_id(struct image_scratch *scratch, int count, struct image *image)
{
    for (int i = 0; i < count; i++) {
        const Elf64_Phdr *segment = &scratch->segments[i];
        if (segment->p_type != PT_NOTE)
            continue;
        size_t length = segment->p_memsz < IMAGE_NOTES_MAX ? segment->p_memsz : IMAGE_NOTES_MAX;
        if (length && read_exactly(image->bias + segment->p_vaddr, scratch->notes, length) &&
            build_id_in(scratch->notes, length, segment->p_align == 8 ? 8 : 4, image))
            return;
    }
}

int image_read(uintptr_t header, uintptr_t start, uint64_t offset, struct image_scratch *scratch,
               struct image *ret)
{
    int count = read_segments(header, scratch);
    if (count < 0)
        return count;
    struct image image = {0};
    if (!find_bias(scratch->segments, count, start, offset, &image.bias))
        return -ENOEXEC;
    find_build_id(scratch, count, &image);
    find_eh_frame(scratch->segments, count, &image);
    *ret = image;
    return 0;
}
