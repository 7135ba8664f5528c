// A task begins once and ends whole, whatever comes in between: a signal as its thread begins, a
// cancellation as it ends.

#include "profiler/base/pins.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static _Atomic pid_t handled_by;
static _Atomic bool began;
static _Atomic bool let_go;

static void park_in_handler(int number)
{
    (void)number;
    taskprof_park(TASKPROF_IO_WAIT, NULL);
    taskprof_unpark();
    atomic_store(&handled_by, gettid());
}

static void *wait_to_be_let_go(void *unused)
{
    atomic_store(&began, true);
    taskprof_park(TASKPROF_SEMACQUIRE, &let_go);
    while (!atomic_load(&let_go))
        usleep(100);
    taskprof_unpark();
    return unused;
}

static unsigned tasks_of(pid_t tid)
{
    unsigned count = 0;
    struct snapshot *snapshot;
    assert_int_equal(snapshot_take(SNAPSHOT_TASKS, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->task_count; i++) {
        struct task_details details;
        count += snapshot_task_details(snapshot, &snapshot->task_list[i], NULL, &details) &&
                 details.tid == tid;
    }
    snapshot_free(snapshot);
    return count;
}

// libc starts a thread with all signals blocked, and lets them through right before the thread's
// own function is called: what is pending for the process is handled there.
static void a_thread_whose_first_act_is_a_handler_that_parks_is_one_task(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = park_in_handler};
    sigset_t usr1;
    sigset_t none;
    pthread_attr_t attributes;
    pthread_t thread;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setsigmask_np(&attributes, &none), 0);
    assert_int_equal(taskprof_pthread_create(&thread, &attributes, wait_to_be_let_go, NULL), 0);
    pthread_attr_destroy(&attributes);
    eventually(atomic_load(&began));
    pid_t tid = atomic_load(&handled_by);
    assert_true(tid && tid != gettid());
    assert_int_equal(tasks_of(tid), 1);
    atomic_store(&let_go, true);
    pthread_join(thread, NULL);
    assert_int_equal(tasks_of(tid), 0);
}

static _Atomic bool paused;

static void *pause_cancelled(void *unused)
{
    (void)unused;
    pthread_cancel(pthread_self());
    errno = ENOTTY;
    pins_pause(UINT32_MAX);
    if (errno == ENOTTY)
        atomic_store(&paused, true);
    pthread_testcancel();
    return NULL;
}

static void a_cancelled_thread_waits_for_the_collector_all_the_same(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, pause_cancelled, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(atomic_load(&paused));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_whose_first_act_is_a_handler_that_parks_is_one_task),
        cmocka_unit_test(a_cancelled_thread_waits_for_the_collector_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
