// A stack that is recognised by a memo is the stack that an unwind would find, always.

#include "profiler/arch/capture.h"
#include "profiler/base/safe_read.h"
#include "profiler/unwind/memo_tree.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 8192, WORDS = BYTES / 8, ROUNDS = 200000 };

// A stack's top and the registers that belong to it, apart from the thread that had it.
struct picture {
    struct arch_regs regs;
    uintptr_t words[WORDS];
};

static struct picture taken;

static __attribute__((noinline)) void take_picture(void)
{
    arch_capture(&taken.regs);
    // Not memcpy: a sanitizer would see it cross from one frame to the next. The stack may end
    // before BYTES; the frames that are looked at lie well below.
    assert_true(safe_read(taken.regs.sp, taken.words, BYTES) >= BYTES / 4);
}

static __attribute__((noinline)) void deeper(int levels)
{
    volatile char frame[64];
    frame[0] = (char)levels;
    if (levels)
        deeper(levels - 1);
    else
        take_picture();
    frame[1] = frame[0];
}

static struct unwind_view view_of(const struct picture *picture)
{
    return (struct unwind_view){
        .low = picture->regs.sp, .high = picture->regs.sp + BYTES, .copy = picture->words};
}

static stack_id unwound_in(const struct picture *picture, const struct unwind_view *view,
                           unsigned *ret_end)
{
    static uintptr_t frames[STACK_DEPTH_MAX];
    unsigned depth =
        unwind(&picture->regs, UNWIND_ALL_KNOWN, false, view, frames, STACK_DEPTH_MAX, ret_end);
    return stack_intern(frames, depth, *ret_end);
}

static stack_id unwound(const struct picture *picture, unsigned *ret_end)
{
    struct unwind_view view = view_of(picture);
    return unwound_in(picture, &view, ret_end);
}

// Cuts the picture off above the frames that matter: a word of zeros is where the last function's
// return address was, as on a coroutine's stack.
static stack_id end_it(struct picture *picture, unsigned levels)
{
    unsigned end;
    const struct stack *whole = stack_get(unwound(picture, &end));
    assert_true(whole->depth > levels);
    for (size_t i = 0; i < WORDS; i++)
        if (picture->words[i] == whole->frames[levels])
            picture->words[i] = 0;
    stack_id id = unwound(picture, &end);
    assert_int_equal(end, STACK_WHOLE);
    assert_in_range(stack_get(id)->depth, 2, levels);
    return id;
}

// The same stack as it would be at another address: all that points into it moves along.
static void move(const struct picture *from, uintptr_t by, struct picture *into)
{
    uintptr_t low = from->regs.sp, high = low + BYTES;
    *into = *from;
    for (size_t i = 0; i < WORDS; i++)
        if (from->words[i] >= low && from->words[i] < high)
            into->words[i] += by;
    into->regs.sp += by;
    for (int i = 0; i < ARCH_SAVED; i++)
        if (from->regs.saved[i] >= low && from->regs.saved[i] < high)
            into->regs.saved[i] += by;
}

static struct memo memo;
static struct picture base;
static stack_id base_id;

static int set_up(void **state)
{
    (void)state;
    deeper(5);
    base = taken;
    base_id = end_it(&base, 7);
    struct unwind_view view = view_of(&base);
    memo_learn(&memo, &base.regs, &view, base_id);
    return 0;
}

static void the_stack_it_learnt_from_is_recognised(void **state)
{
    (void)state;
    struct unwind_view view = view_of(&base);
    assert_int_equal(memo_match(&memo, &base.regs, &view), base_id);
}

static void the_same_frames_elsewhere_are_recognised(void **state)
{
    (void)state;
    static struct picture elsewhere;
    for (uintptr_t by = 16; by < (uintptr_t)1 << 40; by *= 16) {
        move(&base, by, &elsewhere);
        struct unwind_view view = view_of(&elsewhere);
        assert_int_equal(memo_match(&memo, &elsewhere.regs, &view), base_id);
    }
}

// A stack with words that are plausible anywhere: others of this stack, near ones, and any.
static void change(struct picture *picture, unsigned round)
{
    *picture = base;
    for (int changes = rand() % 3 + 1; changes > 0; changes--) {
        size_t at = (size_t)rand() % (round % 2 ? 64 : WORDS);
        uintptr_t other = base.words[(size_t)rand() % 64];
        picture->words[at] = rand() % 2 ? other : base.words[at] + (uintptr_t)(rand() % 65) - 32;
    }
    if (rand() % 8 == 0)
        picture->regs.saved[rand() % ARCH_SAVED] += (uintptr_t)(rand() % 5) * 8;
}

// Both kinds must be met, or nothing was shown.
static void check_changed_stacks(struct memo *by, bool learn)
{
    static struct picture changed;
    unsigned recognised = 0, different = 0, both = 0;
    srand(7);
    for (unsigned round = 0; round < ROUNDS; round++) {
        change(&changed, round);
        struct unwind_view view = view_of(&changed);
        stack_id found = memo_match(by, &changed.regs, &view);
        unsigned end;
        stack_id truth = unwound(&changed, &end);
        if (found)
            assert_int_equal(found, truth);
        else if (learn)
            memo_learn(by, &changed.regs, &view, truth);
        recognised += found != 0;
        different += truth != base_id;
        both += found && truth != base_id;
    }
    assert_true(recognised > ROUNDS / 100);
    assert_true(different > ROUNDS / 100);
    assert_true(!learn || both > ROUNDS / 100);
}

static void what_is_recognised_is_what_an_unwind_finds(void **state)
{
    (void)state;
    check_changed_stacks(&memo, false);
}

static void all_that_was_learnt_is_told_apart(void **state)
{
    (void)state;
    struct memo all = {0};
    check_changed_stacks(&all, true);
    memo_forget(&all);
}

static void what_is_forgotten_is_learnt_again(void **state)
{
    (void)state;
    struct memo full = {0};
    struct unwind_view view = view_of(&base);
    memo_learn(&full, &base.regs, &view, base_id);
    uint32_t nodes = full.count;
    assert_in_range(nodes, 3, 64);
    // As if others had taken all the room but what this stack needs.
    full.count = MEMO_NODES - 1;
    assert_int_equal(memo_match(&full, &base.regs, &view), base_id);
    memo_learn(&full, &base.regs, &view, base_id);
    assert_int_equal(full.count, nodes);
    assert_int_equal(memo_match(&full, &base.regs, &view), base_id);
    memo_forget(&full);
    assert_int_equal(memo_match(&full, &base.regs, &view), 0);
}

static void a_stack_that_ends_before_its_frames_is_not_read(void **state)
{
    (void)state;
    struct unwind_view view = view_of(&base);
    view.low += 8; // sp lies below
    assert_int_equal(memo_match(&memo, &base.regs, &view), 0);
    view = view_of(&base);
    for (size_t recognised = 0; view.high >= view.low; view.high -= 8) {
        unsigned end;
        stack_id found = memo_match(&memo, &base.regs, &view);
        assert_int_equal(found, unwound_in(&base, &view, &end) == base_id ? base_id : 0);
        recognised += found != 0;
        assert_true(recognised || view.high != view.low);
    }
}

// A coroutine's first function lies at the very top of its stack, and has no return address.
static void a_stack_that_ends_at_its_top_is_that_of_one_top(void **state)
{
    (void)state;
    static struct picture own;
    move(&base, (uintptr_t)own.words - base.regs.sp, &own);
    struct memo tops = {0};
    unsigned learnt = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t bytes = BYTES; bytes; bytes -= 8) {
            struct unwind_view view = {.low = own.regs.sp, .high = own.regs.sp + bytes};
            unsigned end;
            stack_id truth = unwound_in(&own, &view, &end);
            stack_id found = memo_match(&tops, &own.regs, &view);
            if (found || pass)
                assert_int_equal(found, end == STACK_WHOLE ? truth : 0);
            memo_learn(&tops, &own.regs, &view, truth);
            learnt += pass && found && truth != base_id;
        }
    assert_true(learnt > 1);
    memo_forget(&tops);
}

static void a_stack_without_an_end_is_not_learnt(void **state)
{
    (void)state;
    static struct picture open;
    open = taken;
    for (size_t i = WORDS / 8; i < WORDS; i++)
        open.words[i] = 1; // no code there
    unsigned end;
    stack_id id = unwound(&open, &end);
    struct unwind_view view = view_of(&open);
    struct memo other = {0};
    memo_learn(&other, &open.regs, &view, id);
    assert_int_equal(memo_match(&other, &open.regs, &view), end == STACK_WHOLE ? id : 0);
    struct memo nothing = {0};
    assert_int_equal(memo_match(&nothing, &base.regs, &view), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stack_it_learnt_from_is_recognised),
        cmocka_unit_test(the_same_frames_elsewhere_are_recognised),
        cmocka_unit_test(what_is_recognised_is_what_an_unwind_finds),
        cmocka_unit_test(all_that_was_learnt_is_told_apart),
        cmocka_unit_test(what_is_forgotten_is_learnt_again),
        cmocka_unit_test(a_stack_that_ends_before_its_frames_is_not_read),
        cmocka_unit_test(a_stack_that_ends_at_its_top_is_that_of_one_top),
        cmocka_unit_test(a_stack_without_an_end_is_not_learnt),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
