// Whether a park goes on is judged by the bounds of its task's own stack and of its thread's
// alternate one; and a thread's own are what the thread's library and the kernel say they are.

#include "profiler/tasks/stack_bounds.h"
#include "profiler/unwind/maps.h"
#include "tests/test.h"
#include "tests/unit/maps_helpers.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

// Most cases have their own stack here; 0 to 0 are bounds that are not known.
#define OWN      \
    {            \
        100, 200 \
    }

static const struct {
    const char *what;
    struct stack_bounds own;
    struct stack_bounds alternate;
    uintptr_t frame;
    uintptr_t sp;
    bool kept;
} cases[] = {
    {"a call from the frame", OWN, {0}, 150, 149, true},
    {"another park of the frame's", OWN, {0}, 150, 150, false},
    {"the frame has returned", OWN, {0}, 150, 151, false},
    {"the stack's lowest address", OWN, {0}, 101, 100, true},
    {"the stack's highest address", OWN, {0}, 150, 199, false},

    {"a handler right above", OWN, {200, 300}, 150, 200, true},
    {"a handler right above, deep", OWN, {200, 300}, 199, 299, true},
    {"a handler right below", OWN, {50, 100}, 150, 99, true},
    {"a handler far away", OWN, {1u << 30, (1u << 30) + 100}, 150, (1u << 30) + 50, true},
    {"a handler on an array of a caller's", OWN, {160, 180}, 150, 170, true},
    {"a handler on memory of the same mapping", {0, 200}, {50, 100}, 150, 99, true},

    {"a handler above was left", OWN, {200, 300}, 250, 150, false},
    {"a handler below was left", OWN, {50, 100}, 75, 150, false},
    {"a handler on an array of a caller's was left", OWN, {160, 180}, 170, 150, false},
    {"the same, for a caller", OWN, {160, 180}, 170, 190, false},
    {"a handler within a handler", OWN, {200, 300}, 250, 240, true},
    {"a second handler after one that was left", OWN, {200, 300}, 250, 250, false},
    {"a handler on memory of the same mapping was left", {0, 200}, {50, 100}, 75, 150, false},

    {"an unknown stack above", OWN, {0}, 150, 250, true},
    {"an unknown stack below", OWN, {0}, 150, 50, true},
    {"an unknown stack above was left", OWN, {0}, 250, 150, false},
    {"an unknown stack below was left", OWN, {0}, 50, 150, false},
    {"unknown stacks, the frame above", OWN, {0}, 350, 250, true},
    {"unknown stacks, the frame below", OWN, {0}, 250, 350, true},
    {"unknown stacks below", OWN, {0}, 40, 50, true},
    {"a handler that runs an unknown stack", OWN, {200, 300}, 250, 50, true},
    {"a handler over an unknown stack", OWN, {200, 300}, 350, 250, true},

    {"nothing known", {0}, {0}, 150, 250, true},
    {"nothing but the alternate stack", {0}, {200, 300}, 250, 150, true},
    {"no low end, a call from the frame", {0, 200}, {0}, 150, 50, true},
    {"no low end, the frame has returned", {0, 200}, {0}, 50, 150, false},
};

static void a_frame_is_judged_by_the_bounds_of_both_stacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (stack_bounds_keep(cases[i].own, cases[i].alternate, cases[i].frame, cases[i].sp) !=
            cases[i].kept)
            fail_msg("%s: should be %s", cases[i].what, cases[i].kept ? "kept" : "over");
}

// What a park is told without a closer look is what the closer look would say.
static void the_quick_answer_is_the_thorough_one(void **state)
{
    (void)state;
    struct stack_bounds own = OWN;
    struct taskprof_task task = {.stack_high = own.high};
    static const struct stack_bounds alternates[] = {
        {0}, {50, 100}, {10, 30}, {200, 250}, {260, 300}};
    for (size_t i = 0; i < sizeof(alternates) / sizeof(alternates[0]); i++)
        for (uintptr_t frame = 0; frame < own.high; frame++)
            for (uintptr_t sp = 0; sp < frame; sp++) {
                assert_true(stack_bounds_park_lives(&task, frame, sp, false));
                assert_true(stack_bounds_keep(own, alternates[i], frame, sp));
            }
}

// Looked up as a park from above `frame` would have it.
static uintptr_t low_of(struct taskprof_task *task)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    errno = 4711;
    assert_false(stack_bounds_look(task, here, here, true));
    assert_int_equal(errno, 4711);
    return atomic_load(&task->thread.stack_low);
}

static void *check_pthread(void *ret_good)
{
    struct taskprof_task *task = taskprof_task_self();
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0)
        pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    *(bool *)ret_good = !stack_bounds_look(task, here, here, true) && task->stack_high > here &&
                        task->stack_high <= (uintptr_t)low + size &&
                        atomic_load(&task->thread.stack_low) <= here &&
                        atomic_load(&task->thread.stack_low) >= (uintptr_t)low;
    return NULL;
}

static void the_bounds_of_a_thread_are_those_of_its_stack(void **state)
{
    (void)state;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    struct taskprof_task *task = taskprof_task_self();
    assert_in_range(task->stack_high, here, end_of_mapping(here));
    assert_in_range(low_of(task), 1, here);
    assert_false(task_owns_stack(task, here));
    bool good = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, check_pthread, &good), 0);
    pthread_join(thread, NULL);
    assert_true(good);
    good = false;
    assert_int_equal(taskprof_pthread_create(&thread, NULL, check_pthread, &good), 0);
    pthread_join(thread, NULL);
    assert_true(good);
}

// The first thread's stack is mapped as far as it was used.
static __attribute__((noinline)) void use_stack(struct taskprof_task *task, uintptr_t low)
{
    volatile char frame[4096];
    frame[0] = 0;
    if ((uintptr_t)frame > low - 8 * sizeof(frame))
        use_stack(task, low);
    else
        assert_in_range(low_of(task), 1, low - 1);
    frame[1] = frame[0];
}

static void the_first_threads_stack_is_known_when_it_has_grown(void **state)
{
    (void)state;
    struct taskprof_task *task = taskprof_task_self();
    use_stack(task, low_of(task));
}

static const size_t STACK = 1 << 20, GUARD = 1 << 16;
static char *below; // where a thread's stack has its guard, and other memory under that

static void *judge_below(void *ret_known)
{
    struct taskprof_task *task = taskprof_task_self();
    uintptr_t foreign = (uintptr_t)below;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    *(bool *)ret_known = !stack_bounds_look(task, foreign, foreign + 64, true) ||
                         stack_bounds_look(task, here, here, true);
    return NULL;
}

static void what_lies_below_a_guard_is_not_the_threads(void **state)
{
    (void)state;
    bool known = true;
    pthread_attr_t attributes;
    pthread_t thread;
    below = mmap(NULL, 2 * GUARD + STACK, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    assert_ptr_not_equal(below, MAP_FAILED);
    assert_int_equal(mprotect(below + GUARD, GUARD, PROT_NONE), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, below + 2 * GUARD, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, judge_below, &known), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    assert_false(known);
    judge_below(&known);
    assert_false(known);
    munmap(below, 2 * GUARD + STACK);
}

static void *fork_here(void *ret_status)
{
    pid_t child = fork();
    if (child == 0) {
        uintptr_t high = taskprof_task_self()->stack_high;
        _exit(high == (uintptr_t)__builtin_thread_pointer() ? 0 : 1);
    }
    waitpid(child, ret_status, 0);
    return NULL;
}

static void *register_and_fork(void *ret_status)
{
    taskprof_task_self();
    return fork_here(ret_status);
}

static void the_child_of_a_forking_thread_has_that_threads_stack(void **state)
{
    (void)state;
    void *(*const ways[])(void *) = {fork_here, register_and_fork};
    for (int i = 0; i < 2; i++) {
        int status = -1;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, ways[i], &status), 0);
        pthread_join(thread, NULL);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_judged_by_the_bounds_of_both_stacks),
        cmocka_unit_test(the_quick_answer_is_the_thorough_one),
        cmocka_unit_test(the_bounds_of_a_thread_are_those_of_its_stack),
        cmocka_unit_test(the_first_threads_stack_is_known_when_it_has_grown),
        cmocka_unit_test(what_lies_below_a_guard_is_not_the_threads),
        cmocka_unit_test(the_child_of_a_forking_thread_has_that_threads_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
