// Stacks are those that another unwinder sees: eu-stack looks at the same threads, from outside.

#include "profiler/arch/capture.h"
#include "profiler/base/safe_read.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/unwind.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { FRAMES = 2048 };

struct trace {
    unsigned depth;
    unsigned end;
    unsigned long frames[FRAMES];
};

// A running target: what it said, and a pipe that ends it.
struct target {
    pid_t pid;
    int tid;
    FILE *output;
    int input;
    struct trace trace;
};

static void target_path(const char *program, char *into, size_t room)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = 0;
    *strrchr(self, '/') = 0;
    snprintf(into, room, "%.3800s/unwind_targets/%s", self, program);
}

static void target_start(struct target *target, const char *program, const char *scenario,
                         const char *depth)
{
    char path[4096];
    target_path(program, path, sizeof(path));
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    target->pid = fork();
    if (target->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        execl(path, path, scenario, depth, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    target->input = in[1];
    target->output = fdopen(out[0], "r");
    target->trace.depth = 0;
    char line[128];
    if (!fgets(line, sizeof(line), target->output))
        fail_msg("%s does not run", path);
    assert_int_equal(sscanf(line, "thread %d", &target->tid), 1);
    while (fgets(line, sizeof(line), target->output) && line[0] == '0')
        target->trace.frames[target->trace.depth++] = strtoul(line, NULL, 16);
    assert_int_equal(sscanf(line, "end %u", &target->trace.end), 1);
}

static void target_stop(struct target *target)
{
    close(target->input);
    int status;
    waitpid(target->pid, &status, 0);
    fclose(target->output);
    assert_int_equal(status, 0);
}

// The thread's stack as eu-stack has it.
static void oracle(pid_t pid, int tid, struct trace *ret)
{
    char command[64], line[1024];
    snprintf(command, sizeof(command), "eu-stack -n 0 -p %d 2>&1", (int)pid);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    bool mine = false;
    ret->depth = 0;
    while (fgets(line, sizeof(line), output)) {
        int number;
        unsigned long pc;
        if (sscanf(line, "TID %d:", &number) == 1)
            mine = number == tid;
        else if (mine && ret->depth < FRAMES && sscanf(line, "#%d %lx", &number, &pc) == 2)
            ret->frames[ret->depth++] = pc;
    }
    pclose(output);
}

// Ours begins somewhere above the oracle's leaf (the target blocks deeper than it looked), and is
// from there on the same up to the thread's start. An interrupted pc has 1 added in ours.
static void same_up_to_the_start(const char *program, const char *scenario,
                                 const struct trace *ours, const struct trace *theirs,
                                 unsigned interrupted)
{
    if (ours->depth < 3 || theirs->depth < ours->depth)
        fail_msg("%s %s: %u frames, eu-stack has %u", program, scenario, ours->depth,
                 theirs->depth);
    unsigned below = theirs->depth - ours->depth, differ = 0;
    for (unsigned i = 0; i < ours->depth; i++) {
        unsigned long a = ours->frames[i], b = theirs->frames[below + i];
        if (a == b + 1)
            differ++;
        else if (a != b)
            fail_msg("%s %s: frame %u is %#lx, eu-stack has %#lx", program, scenario, i, a, b);
    }
    assert_int_equal(differ, interrupted);
    assert_int_equal(ours->end, STACK_WHOLE);
    // The leaf of both: read(2) and what called it.
    assert_true(below >= 1 && below <= 6);
}

// Whether the target has told its frames and gone to sleep in read(2), system call 0.
static bool sleeps_in_read(const struct target *target)
{
    char path[64], text[16] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)target->pid, target->tid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bool read_any = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    return read_any && strncmp(text, "0 ", 2) == 0;
}

static void check(const char *program, const char *scenario, const char *depth,
                  unsigned interrupted)
{
    static struct target target;
    static struct trace theirs;
    target_start(&target, program, scenario, depth);
    eventually(sleeps_in_read(&target));
    oracle(target.pid, target.tid, &theirs);
    same_up_to_the_start(program, scenario, &target.trace, &theirs, interrupted);
    target_stop(&target);
}

static const char *const ways[] = {"plain", "O2", "O2_no_fp", "O2_fp", "stripped", "no_pie"};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static void check_all_ways(const char *source, const char *scenario, const char *depth,
                           unsigned interrupted)
{
    for (int i = 0; i < WAYS; i++) {
        char program[64];
        snprintf(program, sizeof(program), "unwind_%s_%s", source, ways[i]);
        check(program, scenario, depth, interrupted);
    }
}

static void nested_functions_unwind_as_eu_stack_sees_them(void **state)
{
    (void)state;
    check_all_ways("target", "nested", "3", 0);
}

static void deep_recursion_unwinds_whole(void **state)
{
    (void)state;
    check_all_ways("target", "recursion", "130", 0);
    check_all_ways("target", "recursion", "600", 0);
}

static void callbacks_out_of_libc_unwind_whole(void **state)
{
    (void)state;
    check_all_ways("target", "qsort", "3", 0);
}

static void a_signal_handlers_frame_is_no_obstacle(void **state)
{
    (void)state;
    check_all_ways("target", "signal", "3", 1);
    check_all_ways("target", "fault", "3", 1);
}

static void frames_that_align_themselves_or_are_large_unwind_whole(void **state)
{
    (void)state;
    check_all_ways("target", "aligned", "5", 0);
    check_all_ways("target", "large", "5", 0);
}

static void cxx_frames_unwind_as_eu_stack_sees_them(void **state)
{
    (void)state;
    check_all_ways("target_cxx", "virtual", "3", 0);
    check_all_ways("target_cxx", "exception", "3", 0);
    check_all_ways("target_cxx", "sort", "3", 0);
}

// What follows looks at stacks of this process.

__attribute__((noinline)) static unsigned
unwind_self(const struct unwind_view *view, uintptr_t *frames, unsigned max, unsigned *ret_end)
{
    struct arch_regs regs;
    arch_capture(&regs);
    struct unwind_view here = *view;
    if (!here.low)
        here.low = regs.sp;
    return unwind(&regs, UNWIND_ALL_KNOWN, false, &here, frames, max, ret_end);
}

static uintptr_t stack_top(void)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    return (uintptr_t)low + size;
}

static void a_copy_of_a_stack_unwinds_like_the_stack(void **state)
{
    (void)state;
    struct arch_regs regs;
    arch_capture(&regs);
    struct unwind_view view = {.low = regs.sp, .high = stack_top()};
    uintptr_t here[64], there[64];
    unsigned here_end, there_end;
    unsigned depth = unwind(&regs, UNWIND_ALL_KNOWN, false, &view, here, 64, &here_end);
    assert_int_equal(here_end, STACK_WHOLE);
    assert_true(depth >= 3);
    size_t bytes = view.high - view.low;
    char *copy = malloc(bytes);
    assert_int_equal(safe_read(view.low, copy, bytes), bytes);
    view.copy = copy;
    assert_int_equal(unwind(&regs, UNWIND_ALL_KNOWN, false, &view, there, 64, &there_end), depth);
    assert_int_equal(there_end, STACK_WHOLE);
    assert_memory_equal(here, there, depth * sizeof(here[0]));
    // A copy that is cut short is never passed off as whole.
    for (size_t cut = 8; cut < bytes && cut < 4096; cut += 8) {
        view.high = view.low + cut;
        unsigned less = unwind(&regs, UNWIND_ALL_KNOWN, false, &view, there, 64, &there_end);
        assert_true(there_end != STACK_WHOLE || less == depth);
        assert_memory_equal(here, there, (less < depth ? less : depth) * sizeof(here[0]));
    }
    free(copy);
}

static void the_depth_limit_is_said(void **state)
{
    (void)state;
    struct unwind_view view = {.high = stack_top()};
    uintptr_t frames[64];
    unsigned end;
    unsigned whole = unwind_self(&view, frames, 64, &end);
    assert_int_equal(end, STACK_WHOLE);
    assert_int_equal(unwind_self(&view, frames, whole, &end), whole);
    assert_int_equal(end, STACK_WHOLE);
    assert_int_equal(unwind_self(&view, frames, whole - 1, &end), whole - 1);
    assert_int_equal(end, STACK_TOO_DEEP);
    assert_int_equal(unwind_self(&view, frames, 0, &end), 0);
    assert_int_equal(end, STACK_TOO_DEEP);
}

static void a_pc_outside_all_code_ends_the_stack_at_once(void **state)
{
    (void)state;
    uintptr_t words[8] = {0};
    struct arch_regs regs = {.pc = (uintptr_t)words, .sp = (uintptr_t)words};
    struct unwind_view view = {.low = (uintptr_t)words, .high = (uintptr_t)(words + 8)};
    uintptr_t frames[4];
    unsigned end;
    assert_int_equal(unwind(&regs, 0, true, &view, frames, 4, &end), 1);
    assert_int_equal(frames[0], (uintptr_t)words + 1);
    assert_int_equal(end, STACK_BAD_FRAME);
}

static volatile unsigned sink;
static unsigned rest_depth, rest_end;
static stack_id rest_stack;

__attribute__((noinline)) static void coroutine_rests(struct unwind_view *view)
{
    uintptr_t frames[32];
    rest_depth = unwind_self(view, frames, 32, &rest_end);
    struct arch_regs regs;
    arch_capture(&regs);
    rest_stack = unwind_here(&regs, view->high);
    sink++;
}

static struct unwind_view coroutine_view;

static void coroutine(void)
{
    coroutine_rests(&coroutine_view);
    sink++; // no compiler may turn the call into a jump
}

static void a_coroutine_that_makecontext_made_unwinds_whole(void **state)
{
    (void)state;
    size_t size = 64 * 1024;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ucontext_t here, there;
    assert_int_equal(getcontext(&there), 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = size;
    there.uc_link = &here;
    makecontext(&there, coroutine, 0);
    coroutine_view.high = (uintptr_t)stack + size;
    assert_int_equal(swapcontext(&here, &there), 0);
    assert_int_equal(rest_end, STACK_WHOLE);
    assert_true(rest_depth >= 4);
    const struct stack *kept = stack_get(rest_stack);
    assert_int_equal(kept->end, STACK_WHOLE);
    assert_int_equal(kept->depth, rest_depth - 1);
    munmap(stack, size);
}

__attribute__((noinline)) static stack_id create_here(void)
{
    struct arch_regs regs;
    arch_capture(&regs);
    return unwind_here(&regs, 0);
}

static void *create_twice(void *argument)
{
    stack_id *ids = argument;
    volatile int count = 2; // not unrolled: both calls are one place
    for (int i = 0; i < count; i++)
        ids[i] = create_here();
    return NULL;
}

static void creation_stacks_find_the_top_by_themselves(void **state)
{
    (void)state;
    stack_id ids[2];
    errno = EXDEV;
    create_twice(ids);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(stack_get(ids[0])->end, STACK_WHOLE);
    assert_true(stack_get(ids[0])->depth >= 4);
    assert_int_equal(ids[0], ids[1]);
    pthread_t thread;
    stack_id others[2];
    assert_int_equal(pthread_create(&thread, NULL, create_twice, others), 0);
    pthread_join(thread, NULL);
    assert_int_equal(stack_get(others[0])->end, STACK_WHOLE);
    assert_int_equal(others[0], others[1]);
    assert_true(others[0] != ids[0]);
}

// Makes every rule cold: code that was in the picture has gone.
static void forget_rules(void)
{
    uint32_t before = maps_generation();
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(maps_refresh(), 0);
    munmap(code, 4096);
    assert_int_equal(maps_refresh(), 0);
    assert_true(maps_generation() != before);
}

// The bytes of its stack that a thread has used.
static size_t stack_used(void *(*start)(void *), void *argument)
{
    enum { SIZE = 256 * 1024, PAINT = 0x5a };
    unsigned char *stack =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(stack, PAINT, SIZE);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, SIZE);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, &attributes, start, argument), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    size_t clean = 0;
    while (clean < SIZE && stack[clean] == PAINT)
        clean++;
    munmap(stack, SIZE);
    return SIZE - clean;
}

static void *do_nothing(void *argument)
{
    return argument;
}

static void *create_once(void *argument)
{
    *(stack_id *)argument = create_here();
    return NULL;
}

static void a_creation_stack_needs_less_than_4_kib_of_stack(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    stack_id id = 0;
    size_t empty = stack_used(do_nothing, NULL);
    forget_rules();
    size_t used = stack_used(create_once, &id);
    assert_int_equal(stack_get(id)->end, STACK_WHOLE);
    print_message("%zu bytes\n", used - empty);
    assert_true(used - empty < 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_functions_unwind_as_eu_stack_sees_them),
        cmocka_unit_test(deep_recursion_unwinds_whole),
        cmocka_unit_test(callbacks_out_of_libc_unwind_whole),
        cmocka_unit_test(a_signal_handlers_frame_is_no_obstacle),
        cmocka_unit_test(frames_that_align_themselves_or_are_large_unwind_whole),
        cmocka_unit_test(cxx_frames_unwind_as_eu_stack_sees_them),
        cmocka_unit_test(a_copy_of_a_stack_unwinds_like_the_stack),
        cmocka_unit_test(the_depth_limit_is_said),
        cmocka_unit_test(a_pc_outside_all_code_ends_the_stack_at_once),
        cmocka_unit_test(a_coroutine_that_makecontext_made_unwinds_whole),
        cmocka_unit_test(creation_stacks_find_the_top_by_themselves),
        cmocka_unit_test(a_creation_stack_needs_less_than_4_kib_of_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
