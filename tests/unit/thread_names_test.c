// A thread's name is read of the kernel once for as long as it waits, and a new name is seen: at
// once when the thread has run, and soon when another thread gave it.

#include "profiler/snapshot/snapshot.h"
#include "profiler/snapshot/thread_names.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static bool finds(uint64_t id, uint64_t stamp, const char *name)
{
    char found[TASKPROF_NAME_SIZE];
    return thread_names_find(id, stamp, found) && strcmp(found, name) == 0;
}

static void note(uint64_t id, uint64_t stamp, const char *name)
{
    char padded[TASKPROF_NAME_SIZE] = "";
    snprintf(padded, sizeof(padded), "%s", name);
    thread_names_note(id, stamp, padded);
}

static void a_name_belongs_to_one_wait_of_one_task(void **state)
{
    (void)state;
    thread_names_begin();
    note(1000001, 3, "waiter");
    assert_true(finds(1000001, 3, "waiter"));
    assert_false(finds(1000001, 5, "waiter")); // it has run since
    assert_false(finds(1000002, 3, "waiter")); // another task, be it with the same tid
    note(1000001, 5, "other");
    assert_true(finds(1000001, 5, "other"));
    assert_false(finds(1000001, 3, "other"));
}

static void each_name_is_read_anew_in_one_of_sixteen_dumps(void **state)
{
    (void)state;
    thread_names_begin();
    note(2000003, 7, "waiter");
    unsigned anew = 0;
    for (int i = 0; i < 10 * THREAD_NAMES_TURNS; i++) {
        thread_names_begin();
        if (finds(2000003, 7, "waiter"))
            continue;
        anew++;
        note(2000003, 7, "waiter");
        assert_true(finds(2000003, 7, "waiter")); // not twice in one dump
    }
    assert_int_equal(anew, 10);
}

static void names_that_nobody_asks_for_are_forgotten_and_the_others_are_not(void **state)
{
    (void)state;
    enum { TASKS = 5000, KEPT = 16 }; // one id of sixteen: all have the same turn
    thread_names_begin();
    for (uint64_t id = 3000000; id < 3000000 + TASKS; id++)
        note(id, 1, "waiter");
    unsigned kept = 0;
    for (int i = 0; i < 3; i++) {
        thread_names_begin();
        kept = 0;
        for (uint64_t id = 3000000; id < 3000000 + TASKS; id += KEPT)
            kept += finds(id, 1, "waiter");
        if (!kept) // it was their turn
            for (uint64_t id = 3000000; id < 3000000 + TASKS; id += KEPT)
                note(id, 1, "waiter");
    }
    unsigned others = 0;
    for (uint64_t id = 3000001; id < 3000000 + TASKS; id += KEPT)
        others += finds(id, 1, "waiter");
    assert_int_equal(others, 0);
    kept = 0;
    for (uint64_t id = 3000000; id < 3000000 + TASKS; id += KEPT)
        kept += finds(id, 1, "waiter");
    assert_int_equal(kept, (TASKS + KEPT - 1) / KEPT);
}

// A thread that parks, and between two parks gives itself another name.
static struct {
    _Atomic int step; // it goes on when this is as high
    _Atomic pid_t tid;
    _Atomic(taskprof_task *) task;
} waiter;

static void wait_for_step(int step)
{
    taskprof_park(TASKPROF_SEMACQUIRE, &waiter);
    while (atomic_load(&waiter.step) < step)
        usleep(100);
    taskprof_unpark();
}

static void *wait_twice(void *unused)
{
    (void)unused;
    atomic_store(&waiter.task, taskprof_task_self());
    atomic_store(&waiter.tid, gettid());
    pthread_setname_np(pthread_self(), "first name");
    wait_for_step(1);
    pthread_setname_np(pthread_self(), "second name");
    wait_for_step(2);
    return NULL;
}

// The name that a dump shows for a thread; "" if it shows none.
static const char *name_in_dump(pid_t tid)
{
    static char name[TASKPROF_NAME_SIZE];
    struct snapshot *snapshot;
    struct details_reader reader = {0};
    name[0] = '\0';
    assert_int_equal(snapshot_take(SNAPSHOT_TASKS, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->task_count; i++) {
        struct task_details details;
        if (snapshot_task_details(snapshot, &snapshot->task_list[i], &reader, &details) &&
            details.tid == tid)
            memcpy(name, details.name, sizeof(name));
    }
    snapshot_details_close(&reader);
    snapshot_free(snapshot);
    return name;
}

// Whether its name is kept for the park that it is in, so that no dump reads it again.
static bool is_kept(pid_t tid, taskprof_task *task)
{
    char name[TASKPROF_NAME_SIZE];
    name_in_dump(tid);
    return thread_names_find(taskprof_task_id(task), atomic_load(&task->seq), name);
}

static void a_new_name_is_seen_whoever_gave_it(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&waiter.step, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_twice, NULL), 0);
    eventually(atomic_load(&waiter.tid) != 0);
    pid_t tid = atomic_load(&waiter.tid);
    taskprof_task *task = atomic_load(&waiter.task);
    eventually(atomic_load(&task->seq) & 1);
    assert_string_equal(name_in_dump(tid), "first name");
    eventually(is_kept(tid, task));
    assert_string_equal(name_in_dump(tid), "first name");

    // It runs, names itself, and waits again.
    uint64_t seq = atomic_load(&task->seq);
    atomic_store(&waiter.step, 1);
    eventually(atomic_load(&task->seq) == seq + 2);
    assert_string_equal(name_in_dump(tid), "second name");
    eventually(is_kept(tid, task));

    // Another thread names it, while it waits.
    assert_int_equal(pthread_setname_np(thread, "third name"), 0);
    unsigned dumps = 0;
    while (strcmp(name_in_dump(tid), "third name") != 0)
        assert_true(++dumps < THREAD_NAMES_TURNS);

    atomic_store(&waiter.step, 2);
    pthread_join(thread, NULL);
}

static int release[2];
static _Atomic pid_t stranger_tid;

static void *only_read(void *unused)
{
    char byte;
    (void)unused;
    atomic_store(&stranger_tid, gettid());
    return read(release[0], &byte, 1) == 1 ? &release : NULL;
}

static unsigned gone_of(const struct snapshot *snapshot)
{
    unsigned gone = 0;
    for (size_t i = 0; i < snapshot->task_count; i++) {
        struct task_details details;
        gone += !snapshot_task_details(snapshot, &snapshot->task_list[i], NULL, &details);
    }
    return gone;
}

static void a_thread_without_a_slot_has_the_name_that_it_has_now(void **state)
{
    (void)state;
    // What /proc shows in brackets, and a name may hold brackets itself.
    static const char *const names[] = {"a name", ") R 1 (", "123456789012345", "a\nb", "("};
    pthread_t thread;
    assert_int_equal(pipe(release), 0);
    assert_int_equal(pthread_create(&thread, NULL, only_read, NULL), 0);
    eventually(atomic_load(&stranger_tid) != 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(pthread_setname_np(thread, names[i]), 0);
        assert_string_equal(name_in_dump(atomic_load(&stranger_tid)), names[i]);
    }

    // One that has ended since is said to be gone.
    struct snapshot *snapshot;
    assert_int_equal(snapshot_take(SNAPSHOT_TASKS, 0, &snapshot), 0);
    assert_int_equal(write(release[1], "x", 1), 1);
    pthread_join(thread, NULL);
    eventually(gone_of(snapshot) == 1); // the kernel lets go of it a moment after it was joined
    snapshot_free(snapshot);
    close(release[0]);
    close(release[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_belongs_to_one_wait_of_one_task),
        cmocka_unit_test(each_name_is_read_anew_in_one_of_sixteen_dumps),
        cmocka_unit_test(names_that_nobody_asks_for_are_forgotten_and_the_others_are_not),
        cmocka_unit_test(a_new_name_is_seen_whoever_gave_it),
        cmocka_unit_test(a_thread_without_a_slot_has_the_name_that_it_has_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
