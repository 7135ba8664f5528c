// The same frames get the same id, and an id gives its frames back.

#include "profiler/unwind/stack.h"
#include "tests/test.h"

#include <string.h>

static void an_id_gives_its_frames_back(void **state)
{
    (void)state;
    uintptr_t frames[STACK_DEPTH_MAX];
    stack_id ids[STACK_DEPTH_MAX + 1];
    for (unsigned i = 0; i < STACK_DEPTH_MAX; i++)
        frames[i] = 0x400000 + i * 16;
    for (unsigned depth = 0; depth <= STACK_DEPTH_MAX; depth++)
        ids[depth] = stack_intern(frames, depth, depth % 2 ? STACK_WHOLE : STACK_BAD_FRAME);
    for (unsigned depth = 0; depth <= STACK_DEPTH_MAX; depth++) {
        const struct stack *stack = stack_get(ids[depth]);
        assert_int_equal(stack->depth, depth);
        assert_int_equal(stack->end, depth % 2 ? STACK_WHOLE : STACK_BAD_FRAME);
        if (depth)
            assert_memory_equal(stack->frames, frames, depth * sizeof(frames[0]));
        assert_true(depth == 0 || ids[depth] != ids[depth - 1]);
    }
}

static void the_same_frames_with_the_same_end_are_one_stack(void **state)
{
    (void)state;
    uintptr_t frames[] = {1, 2, 3};
    stack_id id = stack_intern(frames, 3, STACK_WHOLE);
    assert_int_equal(stack_intern(frames, 3, STACK_WHOLE), id);
    assert_true(stack_intern(frames, 3, STACK_NO_RULE) != id);
    assert_true(stack_intern(frames, 2, STACK_WHOLE) != id);
}

static void ids_that_mean_no_stack_have_no_frames(void **state)
{
    (void)state;
    assert_int_equal(stack_get(0)->depth, 0);
    assert_int_equal(stack_get(0)->end, STACK_WHOLE);
    assert_int_equal(stack_get(UINT32_MAX)->depth, 0);
}

static uint64_t left_out(void)
{
    return atomic_load(&stack_table.budget.left_out);
}

static void a_full_table_says_that_stacks_are_not_kept_and_counts_them(void **state)
{
    (void)state;
    uintptr_t frames[STACK_DEPTH_MAX] = {0};
    stack_id kept = stack_intern(frames, 4, STACK_WHOLE);
    stack_id id = kept;
    for (unsigned i = 0; left_out() == 0 && i < 100000; i++) {
        frames[0] = i;
        id = stack_intern(frames, STACK_DEPTH_MAX, STACK_WHOLE);
    }
    assert_int_equal(left_out(), 1);
    assert_int_equal(stack_get(id)->depth, 0);
    assert_int_equal(stack_get(id)->end, STACK_NOT_KEPT);
    assert_true(intern_bytes(&stack_table) <= (size_t)64 << 20);
    frames[0] = 0;
    assert_int_equal(stack_intern(frames, 4, STACK_WHOLE), kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_gives_its_frames_back),
        cmocka_unit_test(the_same_frames_with_the_same_end_are_one_stack),
        cmocka_unit_test(ids_that_mean_no_stack_have_no_frames),
        cmocka_unit_test(a_full_table_says_that_stacks_are_not_kept_and_counts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
