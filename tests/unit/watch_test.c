// A task of a run that the collector watches does not end before the collector is done with it.

#include "profiler/tasks/park.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum { STACK = 4096, PATIENCE = 10000 };

static char stack[STACK] __attribute__((aligned(16)));

static taskprof_task *coroutine(void)
{
    struct taskprof_coroutine description = {
        .size = sizeof(description), .stack_low = stack, .stack_size = STACK};
    taskprof_task *task;
    assert_int_equal(taskprof_coroutine_begin(&description, &task), 0);
    return task;
}

static _Atomic bool ended;

static void *end(void *task)
{
    assert_int_equal(taskprof_coroutine_end(task), 0);
    atomic_store(&ended, true);
    return NULL;
}

static pthread_t start_to_end(taskprof_task *task)
{
    pthread_t thread;
    atomic_store(&ended, false);
    assert_int_equal(pthread_create(&thread, NULL, end, task), 0);
    eventually(atomic_load(&task->state) == TASK_ENDING);
    return thread;
}

static void its_end_waits_until_the_watch_is_over(void **state)
{
    (void)state;
    taskprof_task *task = coroutine();
    task_watch(task->slot);
    assert_true(task_watched_live(task));
    pthread_t thread = start_to_end(task);
    // Long enough for one that does not wait.
    for (int i = 0; i < PATIENCE; i++) {
        sched_yield();
        assert_false(atomic_load(&ended));
    }
    assert_false(task_watched_live(task));
    task_unwatch();
    pthread_join(thread, NULL);
    assert_true(atomic_load(&ended));
}

static void its_end_waits_for_one_watch_alone(void **state)
{
    (void)state;
    taskprof_task *task = coroutine();
    task_watch(task->slot);
    pthread_t thread = start_to_end(task);
    // Which of the two it saw first is all the same: it waits for that one.
    while (!atomic_load(&ended)) {
        task_watch(task->slot);
        sched_yield();
    }
    pthread_join(thread, NULL);
    task_unwatch();
}

static void tasks_of_other_runs_end_meanwhile(void **state)
{
    (void)state;
    taskprof_task *first = coroutine();
    taskprof_task *last = first;
    taskprof_task *all[2 * TASK_RUN];
    unsigned count = 0;
    while (last->slot / TASK_RUN == first->slot / TASK_RUN)
        last = all[count++] = coroutine();
    task_watch(last->slot);
    assert_int_equal(taskprof_coroutine_end(first), 0);
    task_unwatch();
    while (count)
        assert_int_equal(taskprof_coroutine_end(all[--count]), 0);
}

static void a_child_of_a_fork_waits_for_nobody(void **state)
{
    (void)state;
    taskprof_task *task = coroutine();
    task_watch(task->slot);
    pid_t child = fork();
    if (child == 0)
        _exit(taskprof_coroutine_end(task) == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    task_unwatch();
    assert_int_equal(taskprof_coroutine_end(task), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_end_waits_until_the_watch_is_over),
        cmocka_unit_test(its_end_waits_for_one_watch_alone),
        cmocka_unit_test(tasks_of_other_runs_end_meanwhile),
        cmocka_unit_test(a_child_of_a_fork_waits_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
