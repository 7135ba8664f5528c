// Unwinding through code whose rules are DWARF expressions, more of them than there is room for:
// stacks stay right while the table of rows turns.

#include "profiler/arch/capture.h"
#include "profiler/base/epoch.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/rules.h"
#include "profiler/unwind/unwind.h"
#include "tests/symbol_targets/targets.h"

#if defined(__x86_64__)

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

// Each function takes a row and two expressions of its own.
enum { FUNCTIONS = 1200, SMALL = 64 << 10 };

typedef void (*row_function)(void (*callee)(void));
static row_function functions[FUNCTIONS];
static size_t limit_before;
// Released at each test's end, however it ends.
static struct epoch_hold hold;

// What the innermost function saw.
static __thread struct {
    uintptr_t inner; // return addresses: into the function of the library …
    uintptr_t outer; // … and out of who called it
    uintptr_t frames[STACK_CREATION_DEPTH];
    unsigned depth;
    unsigned end;
} seen;

static __thread volatile unsigned sink;

static int build(void **state)
{
    char name[32];
    if (targets_setup(state) != 0)
        return -1;
    // CFA: breg7 32, const2u N, drop. rbx: breg3 0, const2u N, plus, const2u N, minus.
    bool built = targets_try(
        "awk 'BEGIN { for (i = 0; i < %d; i++) { b = (i %% 256) \", \" int(i / 256);"
        " printf \".globl row_%%d\\n.type row_%%d, @function\\nrow_%%d:\\n.cfi_startproc\\n"
        "subq $24, %%%%rsp\\n"
        ".cfi_escape 0x0f, 6, 0x77, 32, 0x0a, %%s, 0x13\\n"
        ".cfi_escape 0x16, 3, 10, 0x73, 0, 0x0a, %%s, 0x22, 0x0a, %%s, 0x1c\\n"
        "call *%%%%rdi\\naddq $24, %%%%rsp\\n.cfi_def_cfa 7, 8\\nret\\n.cfi_endproc\\n\","
        " i, i, i, b, b, b }"
        " print \".section .note.GNU-stack,\\\"\\\",@progbits\" }' > rows.S && "
        "cc -shared -o rows.so rows.S",
        FUNCTIONS);
    void *library = built ? dlopen(targets_path("rows.so"), RTLD_NOW) : NULL;
    for (unsigned i = 0; library && i < FUNCTIONS; i++) {
        snprintf(name, sizeof(name), "row_%u", i);
        void *function = dlsym(library, name);
        if (!function)
            return -1;
        memcpy(&functions[i], &function, sizeof(functions[i]));
    }
    limit_before = rules_rows.budget.limit;
    return library ? maps_refresh() : -1;
}

static int end(void **state)
{
    (void)state;
    epoch_release(&hold);
    rules_rows.budget.limit = limit_before;
    return 0;
}

static uint64_t left_out(void)
{
    return atomic_load(&rules_rows.budget.left_out);
}

__attribute__((noinline)) static void note_stack(void)
{
    struct arch_regs regs;
    uint64_t section = epoch_enter();
    arch_capture(&regs);
    const struct stack *stack = stack_get(unwind_here(&regs, 0));
    seen.depth = stack->depth;
    seen.end = stack->end;
    memcpy(seen.frames, stack->frames, stack->depth * sizeof(*stack->frames));
    seen.inner = (uintptr_t)__builtin_return_address(0);
    epoch_leave(section);
    sink++; // no compiler may turn a call into a jump
}

__attribute__((noinline)) static void call_through(row_function function)
{
    seen.outer = (uintptr_t)__builtin_return_address(0);
    function(note_stack);
    sink++;
}

static bool is_right_through(row_function function)
{
    call_through(function);
    unsigned at = 0;
    while (at < seen.depth && seen.frames[at] != seen.inner)
        at++;
    return seen.end == STACK_WHOLE && at + 3 < seen.depth && seen.frames[at + 2] == seen.outer &&
           seen.inner > (uintptr_t)function && seen.inner < (uintptr_t)function + 16;
}

// How many stacks are wrong; *turns grows with each turn of the table.
static unsigned go_through_all(unsigned *turns)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        uint32_t young = atomic_load(&rules_rows.young);
        wrong += !is_right_through(functions[i]);
        *turns += atomic_load(&rules_rows.young) != young;
    }
    return wrong;
}

static void stacks_are_right_through_many_turns(void **state)
{
    (void)state;
    unsigned turns = 0;
    uint64_t before = left_out();
    rules_rows.budget.limit = SMALL;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(go_through_all(&turns), 0);
        for (int again = 0; again < 5; again++)
            assert_true(is_right_through(functions[again]));
    }
    assert_true(turns >= 10);
    assert_int_equal(left_out(), before);
    assert_true(intern_bytes(&rules_rows) <= SMALL);
}

static void with_room_for_all_there_is_no_turn(void **state)
{
    (void)state;
    unsigned turns = 0;
    uint64_t before = left_out();
    go_through_all(&turns); // what was of before may turn yet
    turns = 0;
    for (int round = 0; round < 2; round++)
        assert_int_equal(go_through_all(&turns), 0);
    assert_int_equal(turns, 0);
    assert_int_equal(left_out(), before);
}

static void a_row_that_is_held_stays_and_all_is_well_after_the_release(void **state)
{
    (void)state;
    struct rule rule;
    unsigned turns = 0;
    rules_rows.budget.limit = SMALL;
    go_through_all(&turns);
    epoch_hold(&hold);
    assert_int_equal(rules_find((uintptr_t)functions[0] + 4, &rule), 0);
    assert_true(rule.flags & RULE_ROW);
    const struct cfi_row *row = rules_row(&rule);
    assert_non_null(row);
    struct cfi_row copy = *row;
    uint8_t cfa[16];
    uint8_t rbx[16];
    assert_int_equal(row->cfa.kind, CFI_VAL_EXPRESSION);
    assert_int_equal(row->cfa.length, 6);
    assert_int_equal(row->saved[ARCH_RBX].kind, CFI_VAL_EXPRESSION);
    assert_int_equal(row->saved[ARCH_RBX].length, 10);
    memcpy(cfa, row->cfa.expression, row->cfa.length);
    memcpy(rbx, row->saved[ARCH_RBX].expression, row->saved[ARCH_RBX].length);

    uint64_t before = left_out();
    turns = 0;
    unsigned wrong = go_through_all(&turns);
    assert_true(turns <= 1);
    assert_true(wrong > 0); // those that had no room
    assert_true(left_out() - before >= wrong);
    assert_memory_equal(row, &copy, sizeof(copy));
    assert_ptr_equal(rules_row(&rule), row);
    assert_memory_equal(row->cfa.expression, cfa, 6);
    assert_memory_equal(row->saved[ARCH_RBX].expression, rbx, 10);
    epoch_release(&hold);

    before = left_out();
    for (int round = 0; round < 2; round++)
        assert_int_equal(go_through_all(&turns), 0);
    assert_int_equal(left_out(), before);
}

static void without_any_room_stacks_end_or_lack_a_frame_until_there_is_some(void **state)
{
    (void)state;
    unsigned turns = 0;
    rules_rows.budget.limit = 0;
    maps_forget_derived();
    uint64_t before = left_out();
    assert_int_equal(go_through_all(&turns), FUNCTIONS);
    assert_true(left_out() - before >= FUNCTIONS);
    rules_rows.budget.limit = limit_before;
    before = left_out();
    assert_int_equal(go_through_all(&turns), 0);
    assert_int_equal(left_out(), before);
}

static void *go_through_many(void *argument)
{
    uintptr_t wrong = 0;
    unsigned first = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < 3 * FUNCTIONS; i++)
        wrong += !is_right_through(functions[(first + i * 7) % FUNCTIONS]);
    return (void *)wrong;
}

static void threads_that_unwind_while_the_table_turns_see_right_stacks(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    uintptr_t wrong = 0;
    rules_rows.budget.limit = SMALL;
    uint64_t before = left_out();
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, go_through_many, (void *)(i * FUNCTIONS / THREADS)),
            0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (uintptr_t)result;
    }
    // A thread that the machine lets wait in the midst of a section may keep what is old for long.
    assert_true(wrong <= left_out() - before);
    unsigned turns = 0;
    before = left_out();
    assert_int_equal(go_through_all(&turns), 0);
    assert_int_equal(left_out(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stacks_are_right_through_many_turns, end),
        cmocka_unit_test_teardown(with_room_for_all_there_is_no_turn, end),
        cmocka_unit_test_teardown(a_row_that_is_held_stays_and_all_is_well_after_the_release, end),
        cmocka_unit_test_teardown(without_any_room_stacks_end_or_lack_a_frame_until_there_is_some,
                                  end),
        cmocka_unit_test_teardown(threads_that_unwind_while_the_table_turns_see_right_stacks, end),
    };
    return cmocka_run_group_tests(tests, build, targets_teardown);
}

#else

int main(void)
{
    return 0; // the expressions are in x86-64's registers
}

#endif
