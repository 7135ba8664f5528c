// Unwinding while code comes and goes, threads unwind at once, and processes fork.

#include "profiler/arch/capture.h"
#include "profiler/base/clock.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/unwind.h"
#include "tests/test.h"
#include "tests/unit/maps_helpers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 3000, DEPTH = 20 };

static _Atomic unsigned sink;

__attribute__((noinline)) static stack_id stack_of(unsigned depth)
{
    stack_id id;
    if (depth) {
        id = stack_of(depth - 1);
    } else {
        struct arch_regs regs;
        arch_capture(&regs);
        id = unwind_here(&regs, 0);
    }
    sink += id;
    return id;
}

static void *unwind_again_and_again(void *argument)
{
    uintptr_t wrong = 0;
    stack_id first = 0;
    for (volatile int i = 0; i < ROUNDS; i++) {
        stack_id id = stack_of(DEPTH);
        if (!first)
            first = id;
        wrong += id != first || stack_get(id)->end != STACK_WHOLE;
    }
    (void)argument;
    return (void *)wrong;
}

// Code appears and vanishes: every rule is stale each time.
static void churn(void)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    maps_refresh();
    munmap(code, 4096);
    maps_refresh();
}

static void threads_that_unwind_while_rules_go_stale_see_whole_stacks(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, unwind_again_and_again, NULL), 0);
    for (int i = 0; i < 100; i++)
        churn();
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

static atomic_bool stop;

static void *unwind_until_stopped(void *argument)
{
    while (!stop)
        sink += stack_of(DEPTH);
    return argument;
}

static void *churn_until_stopped(void *argument)
{
    while (!stop)
        churn();
    return argument;
}

static void a_child_unwinds_whatever_its_parent_was_doing(void **state)
{
    (void)state;
    pthread_t unwinder, churner;
    assert_int_equal(pthread_create(&unwinder, NULL, unwind_until_stopped, NULL), 0);
    assert_int_equal(pthread_create(&churner, NULL, churn_until_stopped, NULL), 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            unwind_after_fork();
            alarm(20);
            churn();
            _exit(stack_get(stack_of(DEPTH))->end);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    stop = true;
    pthread_join(unwinder, NULL);
    pthread_join(churner, NULL);
}

#if defined(__x86_64__)

// push rbp; mov rbp, rsp; call rdi; pop rbp; ret: what a compiler at run time may emit.
static const unsigned char with_frame_pointer[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
// push rbp; xor ebp, ebp; call rdi; pop rbp; ret: the frame pointer is used for something else.
static const unsigned char without[] = {0x55, 0x31, 0xed, 0xff, 0xd7, 0x5d, 0xc3};

static const struct stack *seen;

static void note_stack(void)
{
    seen = stack_get(stack_of(0));
    sink++;
}

static void call_through(const unsigned char *code, size_t length)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, length);
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
    assert_int_equal(maps_refresh(), 0);
    void (*through)(void (*)(void));
    memcpy(&through, &page, sizeof(through));
    through(note_stack);
    bool met = false;
    for (unsigned i = 0; i < seen->depth; i++)
        met |= seen->frames[i] > (uintptr_t)page && seen->frames[i] < (uintptr_t)page + length;
    assert_true(met);
    munmap(page, 4096);
}

static void code_without_unwind_information_is_stepped_over_by_its_frame_pointer(void **state)
{
    (void)state;
    call_through(with_frame_pointer, sizeof(with_frame_pointer));
    // The frames above need registers that such code may have changed; this project's own code
    // keeps frame pointers, so that the stack goes on in any case.
    assert_true(seen->depth > 4);
}

static void code_with_neither_says_that_there_is_no_rule(void **state)
{
    (void)state;
    call_through(without, sizeof(without));
    assert_int_equal(seen->end, STACK_NO_RULE);
}

#endif

static void a_library_loaded_later_is_found_without_being_asked_for(void **state)
{
    (void)state;
    assert_int_equal(maps_refresh(), 0);
    // A library of libc's that nothing here needs.
    void *handle = dlopen("libresolv.so.2", RTLD_NOW);
    assert_non_null(handle);
    void *function = dlsym(handle, "inet_net_ntop");
    assert_non_null(function);
    uintptr_t words[2] = {0};
    struct arch_regs regs = {.pc = (uintptr_t)function, .sp = (uintptr_t)words};
    struct unwind_view view = {.low = (uintptr_t)words, .high = (uintptr_t)(words + 2)};
    uintptr_t frames[4];
    unsigned end = STACK_BAD_FRAME;
    // At the first instruction the return address is on top; here it is 0, the end. Reading the
    // mappings again is rationed: perhaps not at the first try.
    eventually(unwind(&regs, 0, true, &view, frames, 4, &end) == 1 && end == STACK_WHOLE);
    dlclose(handle);
}

static void known_frames_cost_nanoseconds(void **state)
{
    (void)state;
    enum { ROUNDS_TIMED = 20000, MAX = 128 };
    struct arch_regs regs;
    arch_capture(&regs);
    struct unwind_view view = {.low = regs.sp, .high = end_of_mapping(regs.sp)};
    uintptr_t frames[MAX];
    unsigned end, depth = 0;
    uint64_t best = UINT64_MAX;
    for (int batch = 0; batch < 5; batch++) {
        uint64_t start = clock_monotonic_ns();
        for (int i = 0; i < ROUNDS_TIMED; i++)
            depth = unwind(&regs, UNWIND_ALL_KNOWN, false, &view, frames, MAX, &end);
        uint64_t took = clock_monotonic_ns() - start;
        best = took < best ? took : best;
    }
    double each = (double)best / ROUNDS_TIMED / depth;
    print_message("%.1f ns a frame\n", each);
    assert_int_equal(end, STACK_WHOLE);
    // A system call a frame, or a compiled rule, would be far above; sanitizers stay below.
    assert_true(each < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_unwind_while_rules_go_stale_see_whole_stacks),
        cmocka_unit_test(a_child_unwinds_whatever_its_parent_was_doing),
#if defined(__x86_64__)
        cmocka_unit_test(code_without_unwind_information_is_stepped_over_by_its_frame_pointer),
        cmocka_unit_test(code_with_neither_says_that_there_is_no_rule),
#endif
        cmocka_unit_test(a_library_loaded_later_is_found_without_being_asked_for),
        cmocka_unit_test(known_frames_cost_nanoseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
