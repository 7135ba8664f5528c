// Tasks are created, parked, woken and ended by the ten thousand while snapshots are taken without
// pause: nothing is lost, nothing is seen twice, and what is read belongs together.

#include "profiler/snapshot/snapshot.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <taskprof/taskprof.h>

enum {
    SCRAPERS = 4,
    CHURNERS = 3,
    THREADS_EACH = 2000,     // created and ended by each churner
    COROUTINES_EACH = 30000, // likewise
    COROUTINE_STACK = 16384,
    LIVE = 40, // coroutines of each churner at a time
    BRIEF_DEPTHS = 8,
    HAND_OVERS = 60000,
};

static _Atomic bool stop;
static _Atomic uint64_t snapshots;
static _Atomic uint64_t briefs; // coroutines that were seen parked

// Every frame of these is known, so that a scraper can tell a torn stack from a true one.
static __attribute__((noinline)) void park_shallow(int *object)
{
    taskprof_park(TASKPROF_SLEEP, object);
    __asm__ volatile("" ::: "memory");
    taskprof_unpark();
}

static __attribute__((noinline)) void park_deep(int *object, int depth)
{
    if (depth)
        park_deep(object, depth - 1);
    else
        park_shallow(object);
    __asm__ volatile("" ::: "memory");
}

static void *short_life(void *object)
{
    taskprof_task_begin("short");
    park_shallow(object);
    park_deep(object, 7);
    return NULL;
}

// Calls function(argument) on another stack, and returns when it does.
void on_stack(void *top, void (*function)(void *), void *argument);
#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl on_stack\n"
        ".type on_stack, @function\n"
        "on_stack:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n" // the stack ends here
        "push %rbp\n"
        "mov %rsp, %rbp\n"
        "mov %rdi, %rsp\n"
        "mov %rdx, %rdi\n"
        "call *%rsi\n"
        "mov %rbp, %rsp\n"
        "pop %rbp\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size on_stack, . - on_stack\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl on_stack\n"
        ".type on_stack, %function\n"
        "on_stack:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n" // the stack ends here
        "stp x29, x30, [sp, #-32]!\n"
        "str x19, [sp, #16]\n"
        "mov x19, sp\n"
        "mov sp, x0\n"
        "mov x0, x2\n"
        "blr x1\n"
        "mov sp, x19\n"
        "ldr x19, [sp, #16]\n"
        "ldp x29, x30, [sp], #32\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size on_stack, . - on_stack\n"
        ".popsection\n");
#endif

struct brief {
    char *stack;
    taskprof_task *task;
    int *object;
    int depth;
};

static __attribute__((noinline)) void park_brief(struct brief *brief, int depth)
{
    if (depth)
        park_brief(brief, depth - 1);
    else
        taskprof_task_park(brief->task, TASKPROF_SEMACQUIRE, brief->object);
    __asm__ volatile("" ::: "memory");
}

static void run_brief(void *brief)
{
    park_brief(brief, ((struct brief *)brief)->depth);
    __asm__ volatile("" ::: "memory");
}

// A coroutine that parks and is never resumed: its frames stay in its stack, for nobody else uses
// that.
static void begin_coroutine(struct brief *brief, int *object, int number)
{
    char *stack =
        mmap(NULL, COROUTINE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct taskprof_coroutine description = {.size = sizeof(description),
                                             .name = "brief",
                                             .stack_low = stack,
                                             .stack_size = COROUTINE_STACK};
    *brief = (struct brief){.stack = stack, .object = object, .depth = number % BRIEF_DEPTHS};
    if (taskprof_coroutine_begin(&description, &brief->task) == 0)
        on_stack(stack + COROUTINE_STACK, run_brief, brief);
}

static void end_coroutine(struct brief *brief)
{
    if (!brief->stack)
        return;
    if (brief->depth % 2)
        taskprof_task_unpark(brief->task);
    taskprof_coroutine_end(brief->task);
    // Right after its end: a collector that still looked would fault.
    munmap(brief->stack, COROUTINE_STACK);
    brief->stack = NULL;
}

static void *churn(void *seed)
{
    int object = 0;
    unsigned random = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < THREADS_EACH; i++) {
        pthread_t thread;
        if (taskprof_pthread_create(&thread, NULL, short_life, &object) == 0)
            pthread_join(thread, NULL);
        park_deep(&object, (int)(rand_r(&random) % 16));
    }
    static __thread struct brief live[LIVE];
    for (int i = 0; i < COROUTINES_EACH + LIVE; i++) {
        end_coroutine(&live[i % LIVE]);
        if (i < COROUTINES_EACH)
            begin_coroutine(&live[i % LIVE], &object, i);
    }
    return NULL;
}

static taskprof_chan *pipe_line;

static void *produce(void *unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= HAND_OVERS; i++)
        taskprof_chan_send(pipe_line, &i);
    taskprof_chan_close(pipe_line);
    return NULL;
}

static void *consume(void *ret_sum)
{
    uint64_t value;
    bool ok;
    while (taskprof_chan_receive(pipe_line, &value, &ok) == 0 && ok)
        *(uint64_t *)ret_sum += value;
    return NULL;
}

static void check(const struct snapshot *snapshot)
{
    uint64_t sum = 0, listed = 0;
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        uint64_t aged = 0;
        sum += group->count;
        assert_true(group->count > 0);
        assert_true(i == 0 || snapshot->groups[i - 1].count >= group->count);
        for (int age = 0; age < SNAPSHOT_AGES; age++)
            aged += group->ages[age];
        assert_int_equal(aged, group->activity == TASK_PARKED ? group->count : 0);
        const struct stack *stack = stack_get(group->stack);
        assert_in_range(stack->depth, 0, STACK_DEPTH_MAX);
        if (group->activity == TASK_PARKED && group->reason == TASKPROF_SEMACQUIRE) {
            // on_stack, run_brief, park_brief
            assert_int_equal(stack->end, STACK_WHOLE);
            assert_in_range(stack->depth, 3, 2 + BRIEF_DEPTHS);
            briefs += group->count;
        }
    }
    assert_int_equal(sum, snapshot->tasks);
    assert_int_equal(snapshot->threads + snapshot->coroutines, snapshot->tasks);
    if (snapshot->task_list) {
        for (size_t i = 0; i < snapshot->task_count; i++) {
            assert_in_range(snapshot->task_list[i].group, 0, snapshot->group_count - 1);
            listed += snapshot->task_list[i].id != 0;
        }
        assert_int_equal(listed, snapshot->tasks);
    }
}

static void *scrape(void *with_tasks)
{
    while (!atomic_load(&stop)) {
        struct snapshot *snapshot;
        if (snapshot_take(with_tasks ? SNAPSHOT_TASKS : 0, 1, &snapshot) < 0)
            continue;
        check(snapshot);
        struct details_reader reader = {0};
        for (size_t i = 0; i < snapshot->task_count; i += 7) {
            struct task_details details;
            snapshot_task_details(snapshot, &snapshot->task_list[i], &reader, &details);
        }
        snapshot_details_close(&reader);
        snapshot_free(snapshot);
        atomic_fetch_add(&snapshots, 1);
    }
    return NULL;
}

static uint64_t tasks_now(void)
{
    struct snapshot *snapshot;
    assert_int_equal(snapshot_take(0, 0, &snapshot), 0);
    uint64_t tasks = snapshot->tasks;
    snapshot_free(snapshot);
    return tasks;
}

static void counts_add_up_while_tasks_come_and_go(void **state)
{
    (void)state;
    struct snapshot *before, *after;
    // A sanitizer's own thread comes with the first one of ours.
    pthread_t first;
    assert_int_equal(pthread_create(&first, NULL, short_life, &stop), 0);
    pthread_join(first, NULL);
    assert_int_equal(taskprof_chan_make(sizeof(uint64_t), 2, "pipe-line", &pipe_line), 0);
    assert_int_equal(snapshot_take(0, 0, &before), 0);

    pthread_t scrapers[SCRAPERS], churners[CHURNERS], producer, consumers[2];
    uint64_t sums[2] = {0};
    for (uintptr_t i = 0; i < SCRAPERS; i++)
        assert_int_equal(pthread_create(&scrapers[i], NULL, scrape, (void *)(i % 2)), 0);
    for (uintptr_t i = 0; i < CHURNERS; i++)
        assert_int_equal(pthread_create(&churners[i], NULL, churn, (void *)(i + 1)), 0);
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, &sums[i]), 0);
    for (int i = 0; i < CHURNERS; i++)
        pthread_join(churners[i], NULL);
    pthread_join(producer, NULL);
    pthread_join(consumers[0], NULL);
    pthread_join(consumers[1], NULL);
    eventually(atomic_load(&snapshots) > SCRAPERS * 4);
    assert_true(atomic_load(&briefs) > SCRAPERS * LIVE);
    atomic_store(&stop, true);
    for (int i = 0; i < SCRAPERS; i++)
        pthread_join(scrapers[i], NULL);

    assert_int_equal(sums[0] + sums[1], (uint64_t)HAND_OVERS * (HAND_OVERS + 1) / 2);
    // The kernel may still be about to take a joined thread out of /proc.
    eventually(tasks_now() <= before->tasks);
    assert_int_equal(snapshot_take(0, 0, &after), 0);
    assert_in_range(after->tasks, before->tasks - 1, before->tasks);
    assert_int_equal(after->coroutines, before->coroutines);
    assert_true(after->created - before->created >=
                (uint64_t)CHURNERS * (THREADS_EACH + COROUTINES_EACH));
    snapshot_free(before);
    snapshot_free(after);
    assert_int_equal(taskprof_chan_free(pipe_line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_add_up_while_tasks_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
