// Fuzzes the reader of .eh_frame and the evaluator of DWARF expressions.
// Input: 8 bytes pc, 2 bytes length of .eh_frame_hdr, 1 byte of flags, then both sections.

#include "profiler/unwind/frame.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate(const struct cfi_row *row)
{
    uintptr_t words[32];
    for (size_t i = 0; i < 32; i++)
        words[i] = (uintptr_t)&words[(i * 7) % 32];
    struct unwind_view view = {.low = (uintptr_t)words, .high = (uintptr_t)(words + 32)};
    struct frame frame = {.regs = {.sp = (uintptr_t)words, .pc = 0x1000},
                          .known = UNWIND_ALL_KNOWN};
    for (int i = 0; i < ARCH_SAVED; i++)
        frame.regs.saved[i] = (uintptr_t)&words[i];
    bool outermost;
    frame_step_row(row, &view, &frame, &outermost);
}

// A copy of its own, so that the sanitizer sees its ends.
static struct cfi_section section(const uint8_t *bytes, size_t length, uintptr_t address)
{
    uint8_t *copy = malloc(length + 1);
    if (length)
        memcpy(copy + 1, bytes, length);
    return (struct cfi_section){.bytes = copy + 1, .length = length, .address = address};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cfi_scratch scratch;
    if (size < 11)
        return 0;
    uint64_t pc;
    uint16_t header_length;
    memcpy(&pc, data, 8);
    memcpy(&header_length, data + 8, 2);
    bool plain = data[10] & 1;
    data += 11;
    size -= 11;
    if (header_length > size || plain)
        header_length = 0;
    struct cfi_sections sections = {
        .header = section(data, header_length, 0x10000),
        .frames = section(data + header_length, size - header_length, 0x20000)};
    struct cfi_row row;
    if (cfi_row_at(&sections, pc, &scratch, &row) == 0)
        evaluate(&row);
    struct cfi_entry entry;
    size_t offset = 0;
    while (offset != SIZE_MAX && cfi_entry_at(&sections, offset, &entry) != -ENODATA) {
        if (cfi_row_at(&sections, entry.start, &scratch, &row) == 0)
            evaluate(&row);
        offset = entry.next;
    }
    free((void *)(sections.header.bytes - 1));
    free((void *)(sections.frames.bytes - 1));
    return 0;
}
