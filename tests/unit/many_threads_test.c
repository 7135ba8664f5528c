// Hundreds of threads that park at once: their stacks are copied by the dozen, and the kernel is
// asked about a few of them in each snapshot; all are shown as if each were alone.

#include "profiler/snapshot/confirm_park.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/snapshot/snapshot.h"
#include "tests/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>
#include <ucontext.h>
#include <unistd.h>

enum { THREADS = 400, DEEP = 100, FUNCTION_MAX = 1024, STACK = 64 * 1024 };

static sem_t parked; // posted by each thread when it is about to wait
static sem_t leave;  // and waited for by each
static _Atomic int spin;

static __attribute__((noinline)) void wait_parked(void)
{
    taskprof_park(TASKPROF_SEMACQUIRE, &leave);
    sem_post(&parked);
    while (sem_wait(&leave) != 0)
        continue;
    taskprof_unpark();
}

static __attribute__((noinline)) void wait_deep(int depth)
{
    volatile char frame[64] = {1}; // of a size that no copy of a small stack would hold
    if (depth)
        wait_deep(depth - 1);
    else
        wait_parked();
    (void)frame[0];
}

static void *shallow(void *unused)
{
    wait_parked();
    return unused;
}

static void *deep(void *unused)
{
    wait_deep(DEEP);
    return unused;
}

// Leaves its park by longjmp, and then waits where no park says so.
static __thread jmp_buf escape;

static __attribute__((noinline)) void park_and_escape(void)
{
    volatile char frame[4096] = {0};
    taskprof_park(TASKPROF_SLEEP, &escape);
    longjmp(escape, 1 + frame[0]);
}

static _Atomic pid_t left_tid;

static void *left(void *unused)
{
    atomic_store(&left_tid, gettid());
    if (setjmp(escape) == 0)
        park_and_escape();
    sem_post(&parked);
    while (sem_wait(&leave) != 0)
        continue;
    return unused;
}

// Ends without its destructors; its park stays on record.
static void *ends_bare(void *unused)
{
    taskprof_park(TASKPROF_SLEEP, &parked);
    sem_post(&parked);
    syscall(SYS_exit, 0);
    return unused;
}

// A call that does not block: it runs.
static void *calls(void *unused)
{
    taskprof_park_call(TASKPROF_SLEEP, &spin);
    sem_post(&parked);
    while (atomic_load(&spin))
        continue;
    taskprof_unpark();
    return unused;
}

// Runs on a stack of its own making, with nothing above it: its top can't be copied by the dozen.
static __thread ucontext_t outside, inside;

static void on_small_stack(void)
{
    wait_parked();
    __asm__ volatile(""); // so that the call above is one, and no jump
}

static void *at_the_edge(void *unused)
{
    char *stack = mmap(NULL, 2 * STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, STACK, PROT_READ | PROT_WRITE);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = STACK;
    inside.uc_link = &outside;
    makecontext(&inside, on_small_stack, 0);
    swapcontext(&outside, &inside);
    munmap(stack, 2 * STACK);
    return unused;
}

static pthread_t threads[THREADS];
static int started;

// The stacks are small, so that hundreds of them are no burden. Waits until it is about to wait.
static void start(void *(*run)(void *))
{
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 4 * STACK), 0);
    assert_int_equal(pthread_create(&threads[started++], &attributes, run, NULL), 0);
    pthread_attr_destroy(&attributes);
    while (sem_wait(&parked) != 0)
        continue;
}

static void begin(void)
{
    started = 0;
    assert_int_equal(sem_init(&parked, 0, 0), 0);
    assert_int_equal(sem_init(&leave, 0, 0), 0);
}

static void end(void)
{
    for (int i = 0; i < started; i++)
        sem_post(&leave);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static bool stack_has(stack_id id, const void *function)
{
    const struct stack *stack = stack_get(id);
    for (unsigned i = 0; i < stack->depth; i++)
        if (stack->frames[i] - (uintptr_t)function < FUNCTION_MAX)
            return true;
    return false;
}

struct seen {
    uint64_t tasks;
    uint64_t parked;
    uint64_t asleep;   // parks of those that left them
    uint64_t waiting;  // parked in wait_parked
    uint64_t whole;    // of them, on a stack that is whole and was started by one of the above
    uint64_t frames;   // of the deepest
    uint64_t in_calls; // parked in `calls`
};

static struct seen look(void)
{
    struct snapshot *snapshot;
    struct seen seen = {0};
    assert_int_equal(snapshot_take(0, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        const struct stack *stack = stack_get(group->stack);
        seen.tasks += group->count;
        if (group->activity != TASK_PARKED)
            continue;
        seen.parked += group->count;
        seen.asleep += group->reason == TASKPROF_SLEEP ? group->count : 0;
        seen.in_calls += stack_has(group->stack, calls) ? group->count : 0;
        if (!stack_has(group->stack, wait_parked))
            continue;
        seen.waiting += group->count;
        bool known = stack_has(group->stack, shallow) || stack_has(group->stack, deep) ||
                     stack_has(group->stack, on_small_stack);
        seen.whole += known && stack->end == STACK_WHOLE ? group->count : 0;
        seen.frames = stack->depth > seen.frames ? stack->depth : seen.frames;
    }
    snapshot_free(snapshot);
    return seen;
}

static void every_stack_is_read_whole_small_or_deep_or_at_the_edge_of_its_mapping(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < THREADS; i++)
        start(i % 10 == 3 ? deep : i % 10 == 7 ? at_the_edge : shallow);
    struct seen seen = look();
    assert_int_equal(seen.waiting, THREADS);
    assert_int_equal(seen.whole, THREADS);
    assert_true(seen.frames > DEEP);
    // Again, when nothing has changed.
    assert_int_equal(look().whole, THREADS);
    end();
}

static void a_call_that_does_not_block_is_no_wait_among_many_either(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < THREADS - 1; i++)
        start(shallow);
    atomic_store(&spin, 1);
    start(calls);
    struct seen seen = look();
    assert_int_equal(seen.waiting, THREADS - 1);
    assert_int_equal(seen.in_calls, 0);
    atomic_store(&spin, 0);
    end();
}

static void a_thread_that_ended_without_its_destructors_is_not_shown(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < THREADS - 1; i++)
        start(shallow);
    uint64_t before = look().tasks;
    start(ends_bare);
    pthread_detach(threads[--started]); // a sanitizer would wait for its end for ever
    struct seen seen = {0};
    eventually((seen = look(), seen.tasks == before));
    assert_int_equal(seen.asleep, 0);
    assert_int_equal(seen.waiting, THREADS - 1);
    end();
}

// Of one that is not blocked yet the kernel does not tell where it is.
static bool is_blocked(pid_t tid)
{
    uintptr_t sp = 0;
    int directory = proc_threads_open();
    assert_true(directory >= 0);
    int result = proc_thread_sp(directory, tid, &sp);
    close(directory);
    return result == 0 && sp;
}

// The last: what it shows to the library stays known.
static void a_park_that_was_left_is_found_soon_and_from_then_on_at_once(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < THREADS - 2; i++)
        start(shallow);
    start(left);
    eventually(is_blocked(atomic_load(&left_tid)));
    // The first snapshot asks about a few, each one after it about as many again.
    int most = 2 + THREADS / (CONFIRM_FEW + THREADS / CONFIRM_SHARE);
    int snapshots = 1;
    while (look().asleep != 0)
        assert_true(++snapshots <= most);
    assert_int_equal(look().waiting, THREADS - 2);

    start(left);
    eventually(is_blocked(atomic_load(&left_tid)));
    struct seen seen = look();
    assert_int_equal(seen.asleep, 0);
    assert_int_equal(seen.waiting, THREADS - 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stack_is_read_whole_small_or_deep_or_at_the_edge_of_its_mapping),
        cmocka_unit_test(a_call_that_does_not_block_is_no_wait_among_many_either),
        cmocka_unit_test(a_thread_that_ended_without_its_destructors_is_not_shown),
        cmocka_unit_test(a_park_that_was_left_is_found_soon_and_from_then_on_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
