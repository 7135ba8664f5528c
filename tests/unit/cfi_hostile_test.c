// Bytes that lie, and stacks of garbage: nothing is read that was not handed over, and it ends.
// Run with the sanitizers, these tests see what a crash would need luck to show.

#include "profiler/base/memory.h"
#include "profiler/base/safe_read.h"
#include "profiler/unwind/frame.h"
#include "profiler/unwind/picture.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

// A copy whose last byte lies at the end of a page that nothing follows: one byte too far crashes.
struct guarded {
    unsigned char *bytes;
    size_t length;
    unsigned char *pages;
    size_t mapped;
};

static struct guarded guard(const void *bytes, size_t length)
{
    size_t mapped = (length + 4095) / 4096 * 4096 + 4096;
    unsigned char *pages =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + mapped - 4096, 4096, PROT_NONE);
    struct guarded copy = {.bytes = pages + mapped - 4096 - length,
                           .length = length,
                           .pages = pages,
                           .mapped = mapped};
    memcpy(copy.bytes, bytes, length);
    return copy;
}

static void *read_range(struct image_range range)
{
    void *bytes = malloc(range.length);
    assert_int_equal(safe_read(range.address, bytes, range.length), range.length);
    return bytes;
}

static void mutated_sections_never_lead_out_of_bounds(void **state)
{
    (void)state;
    enum { ROUNDS = 200000, KEPT = 16 * 1024 };
    struct code_map libc;
    assert_int_equal(maps_refresh(), 0);
    assert_true(maps_code((uintptr_t)&mutated_sections_never_lead_out_of_bounds, &libc));
    void *header = read_range(libc.eh_frame_hdr), *frames = read_range(libc.eh_frame);
    size_t frames_length = libc.eh_frame.length < KEPT ? libc.eh_frame.length : KEPT;
    struct guarded h = guard(header, libc.eh_frame_hdr.length);
    struct guarded f = guard(frames, frames_length);
    struct cfi_sections sections = {
        .header = {.bytes = h.bytes, .length = h.length, .address = libc.eh_frame_hdr.address},
        .frames = {.bytes = f.bytes, .length = f.length, .address = libc.eh_frame.address}};
    static struct cfi_scratch scratch;
    uintptr_t size = libc.mapping.limit - libc.mapping.start;
    unsigned found = 0, refused = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % 64 == 0) {
            memcpy(h.bytes, header, h.length);
            memcpy(f.bytes, frames, f.length);
        }
        f.bytes[next_random() % f.length] = (unsigned char)next_random();
        if (round % 8 == 0)
            h.bytes[next_random() % (round % 16 ? h.length : 16)] = (unsigned char)next_random();
        sections.header.length = round % 3 ? h.length : 0;
        struct cfi_row row;
        uintptr_t pc = libc.mapping.start + next_random() % size;
        int error = cfi_row_at(&sections, pc, &scratch, &row);
        assert_true(error == 0 || error == -ENOENT || error == -EINVAL);
        found += error == 0;
        refused += error == -EINVAL;
        for (int i = 0; i < ARCH_SAVED && !error; i++)
            if (row.saved[i].length)
                assert_true(row.saved[i].expression >= f.bytes &&
                            row.saved[i].expression + row.saved[i].length <= f.bytes + f.length);
    }
    assert_true(found > ROUNDS / 100 && refused > 0);
    munmap(h.pages, h.mapped);
    munmap(f.pages, f.mapped);
    free(header);
    free(frames);
}

static void random_expressions_end_and_stay_inside_the_view(void **state)
{
    (void)state;
    uintptr_t words[16];
    for (int i = 0; i < 16; i++)
        words[i] = (uintptr_t)&words[next_random() % 16];
    struct unwind_view view = {.low = (uintptr_t)words, .high = (uintptr_t)(words + 16)};
    unsigned good = 0;
    for (int round = 0; round < 300000; round++) {
        uint8_t bytes[24];
        size_t length = 1 + next_random() % sizeof(bytes);
        for (size_t i = 0; i < length; i++)
            // Mostly operations that exist.
            bytes[i] = (uint8_t)(next_random() % 4 ? 0x08 + next_random() % 0x48 : next_random());
        struct guarded copy = {0};
        if (round % 1000 == 0)
            copy = guard(bytes, length);
        struct frame frame = {.regs = {.sp = (uintptr_t)words}, .known = (unsigned)next_random()};
        for (int i = 0; i < ARCH_SAVED; i++)
            frame.regs.saved[i] = (uintptr_t)&words[i];
        uintptr_t value, initial = (uintptr_t)words;
        int error = cfi_expression(copy.bytes ? copy.bytes : bytes, length, &initial, &frame, &view,
                                   &value);
        assert_true(error == 0 || error == -EINVAL || error == -ENODATA);
        good += error == 0;
        if (copy.pages)
            munmap(copy.pages, copy.mapped);
    }
    assert_true(good > 1000);
}

static void an_endless_loop_is_given_up(void **state)
{
    (void)state;
    static const uint8_t loop[] = {0x2f, 0xfd, 0xff}; // DW_OP_skip -3
    struct frame frame = {0};
    struct unwind_view view = {0};
    uintptr_t value;
    assert_int_equal(cfi_expression(loop, sizeof(loop), NULL, &frame, &view, &value), -EINVAL);
}

// The expression of every lazily bound PLT, x86-64: 8 more once the index was pushed.
static void the_expression_of_a_plt_stub_is_understood(void **state)
{
    (void)state;
    static const uint8_t plt[] = {0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22};
    struct frame frame = {.regs = {.sp = 0x7000, .pc = 0x1020}};
    struct unwind_view view = {0};
    uintptr_t value;
    assert_int_equal(cfi_expression(plt, sizeof(plt), NULL, &frame, &view, &value), 0);
    assert_int_equal(value, 0x7008);
    frame.regs.pc = 0x102b;
    assert_int_equal(cfi_expression(plt, sizeof(plt), NULL, &frame, &view, &value), 0);
    assert_int_equal(value, 0x7010);
}

// Stacks of numbers, among them true code addresses and pointers to the stack itself, between pages
// that can't be read.
static void random_stacks_unwind_to_an_end(void **state)
{
    (void)state;
    enum { WORDS = 512, ROUNDS = 100000, FRAMES = 128 };
    uintptr_t plain[WORDS] = {0};
    struct guarded copy = guard(plain, sizeof(plain));
    uintptr_t *words = (uintptr_t *)(void *)copy.bytes;
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_at, ends[2 * STACK_NO_REGISTER] = {0};
    int count = maps_list(&arena, &mappings, &main_at);
    assert_true(count > 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < (round % 50 ? 16 : WORDS); i++) {
            const struct mapping *code = &mappings[next_random() % (unsigned)count];
            uintptr_t *word = &words[next_random() % WORDS];
            switch (next_random() % 8) {
            case 0:
                *word = next_random();
                break;
            case 1:
                *word = 0;
                break;
            case 2:
            case 3:
                *word = (uintptr_t)&words[next_random() % (WORDS + 2)];
                break;
            default:
                // Of few addresses: the rules of most of them are met again.
                *word = code->start + next_random() % 512 * 64 % (code->limit - code->start);
            }
        }
        struct arch_regs regs = {.pc = words[next_random() % WORDS],
                                 .sp = (uintptr_t)&words[next_random() % WORDS]};
        for (int i = 0; i < ARCH_SAVED; i++)
            regs.saved[i] = words[next_random() % WORDS];
        struct unwind_view view = {.low = (uintptr_t)words, .high = (uintptr_t)(words + WORDS)};
        uintptr_t frames[FRAMES];
        unsigned end;
        unsigned depth =
            unwind(&regs, (unsigned)next_random(), next_random() & 1, &view, frames, FRAMES, &end);
        assert_true(depth >= 1 && depth <= FRAMES && end <= STACK_NO_REGISTER);
        ends[end]++;
    }
    assert_true(ends[STACK_BAD_FRAME] > 0 && ends[STACK_WHOLE] > 0 && ends[STACK_NO_RULE] > 0);
    arena_release(&arena);
    munmap(copy.pages, copy.mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_sections_never_lead_out_of_bounds),
        cmocka_unit_test(random_expressions_end_and_stay_inside_the_view),
        cmocka_unit_test(an_endless_loop_is_given_up),
        cmocka_unit_test(the_expression_of_a_plt_stub_is_understood),
        cmocka_unit_test(random_stacks_unwind_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
