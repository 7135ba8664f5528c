// A park is recorded whole, nests, is seen by other threads, and never outlives its task.

#include "profiler/tasks/self.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static bool parked(const struct taskprof_task *task, struct park_record *ret)
{
    return park_read(task, ret);
}

static void a_park_records_reason_object_start_and_the_callers_registers(void **state)
{
    (void)state;
    int object;
    struct park_record record;
    struct taskprof_task *self = taskprof_task_self();
    assert_false(parked(self, &record));
    uint64_t before = 0, after = 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    before = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    taskprof_park(TASKPROF_SEMACQUIRE, &object);
    clock_gettime(CLOCK_MONOTONIC, &now);
    after = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    assert_true(parked(self, &record));
    taskprof_unpark();
    assert_int_equal(record.reason, TASKPROF_SEMACQUIRE);
    assert_ptr_equal(record.object, &object);
    assert_in_range(record.since_ns, before, after);
    uintptr_t function = (uintptr_t)a_park_records_reason_object_start_and_the_callers_registers;
    assert_in_range(record.regs.pc, function, function + 4096);
    // The caller's sp lies at or below its locals and not far from them.
    assert_in_range((uintptr_t)&object - record.regs.sp, 0, 4096);
    assert_false(parked(self, &record));
}

// A deeper frame, as a wrapper of pthread_cond_wait would be. Tells whether the task was parked
// then.
static __attribute__((noinline)) bool park_deeper(const struct taskprof_task *self,
                                                  const void *object, struct park_record *ret)
{
    taskprof_park(TASKPROF_COND_WAIT, object);
    bool still = parked(self, ret);
    taskprof_unpark();
    return still;
}

static void the_outermost_of_nested_parks_is_the_one_that_shows(void **state)
{
    (void)state;
    struct park_record record;
    struct taskprof_task *self = taskprof_task_self();
    int outer, inner;
    taskprof_park(TASKPROF_CHAN_SEND, &outer);
    assert_true(park_deeper(self, &inner, &record));
    assert_int_equal(record.reason, TASKPROF_CHAN_SEND);
    assert_true(parked(self, &record));
    assert_ptr_equal(record.object, &outer);
    taskprof_unpark();
    assert_false(parked(self, &record));
    taskprof_unpark(); // one too many does nothing
    assert_false(parked(self, &record));
}

// Tells how many of so many more parks, each in the other, leave `object`'s the one that shows,
// once they have begun and once the next one has ended.
static __attribute__((noinline)) unsigned park_within(const struct taskprof_task *self,
                                                      const void *object, unsigned more)
{
    struct park_record record;
    taskprof_park(TASKPROF_COND_WAIT, NULL);
    unsigned kept = more > 1 ? park_within(self, object, more - 1) : 0;
    kept += parked(self, &record) && record.object == (uintptr_t)object;
    taskprof_unpark();
    return kept;
}

static void a_thousand_nested_parks_end_one_by_one(void **state)
{
    (void)state;
    struct park_record record;
    struct taskprof_task *self = taskprof_task_self();
    int outer;
    taskprof_park(TASKPROF_CHAN_SEND, &outer);
    assert_int_equal(park_within(self, &outer, 1000), 1000);
    assert_true(parked(self, &record));
    assert_ptr_equal(record.object, &outer);
    assert_int_equal(task_kind(self), TASK_THREAD);
    taskprof_unpark();
    assert_false(parked(self, &record));
}

static jmp_buf escape;

static __attribute__((noinline)) void park_and_jump(void)
{
    volatile char frame[256];
    frame[0] = 0;
    taskprof_park(TASKPROF_COND_WAIT, NULL);
    longjmp(escape, 1 + frame[0]);
}

static void a_park_left_by_longjmp_gives_way_to_the_next_one(void **state)
{
    (void)state;
    struct park_record record;
    if (setjmp(escape) == 0)
        park_and_jump();
    taskprof_park(TASKPROF_SLEEP, NULL);
    assert_true(parked(taskprof_task_self(), &record));
    assert_int_equal(record.reason, TASKPROF_SLEEP);
    taskprof_unpark();
    assert_false(parked(taskprof_task_self(), &record));
}

static void errno_is_kept(void **state)
{
    (void)state;
    errno = 4711;
    taskprof_park(TASKPROF_SLEEP, NULL);
    taskprof_unpark();
    assert_int_equal(errno, 4711);
    taskprof_task_begin("errno");
    assert_int_equal(errno, 4711);
}

static void *park_and_exit(void *ret_task)
{
    *(struct taskprof_task **)ret_task = taskprof_task_self();
    taskprof_park(TASKPROF_JOIN, NULL);
    pthread_exit(NULL);
}

static void a_thread_that_exits_while_parked_leaves_nothing_behind(void **state)
{
    (void)state;
    struct taskprof_task *task;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, park_and_exit, &task), 0);
    pthread_join(thread, NULL);
    struct park_record record;
    assert_false(parked(task, &record));
    assert_int_equal(atomic_load(&task->state), TASK_FREE);
    assert_false(task_pin(task));
}

struct created {
    struct taskprof_task *task;
    pid_t tid;
};

static void *note_self(void *argument)
{
    struct created *created = argument;
    created->task = thread_self.current; // without registering: the wrapper has done it
    created->tid = gettid();
    return NULL;
}

static void a_thread_created_through_the_wrapper_knows_its_creator_from_the_start(void **state)
{
    (void)state;
    struct created created;
    pthread_t thread;
    uint64_t ids = task_ids();
    assert_int_equal(taskprof_pthread_create(&thread, NULL, note_self, &created), 0);
    pthread_join(thread, NULL);
    assert_non_null(created.task);
    assert_int_equal(task_ids(), ids + 1);
    assert_int_equal(created.task->parent, taskprof_task_id(taskprof_task_self()));
    size_t unlimited = (size_t)1 << 60;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, unlimited);
    assert_int_not_equal(taskprof_pthread_create(&thread, &attributes, note_self, &created), 0);
    pthread_attr_destroy(&attributes);
}

static void names_are_cut_to_what_a_thread_may_have(void **state)
{
    (void)state;
    char name[TASKPROF_NAME_SIZE];
    assert_int_equal(taskprof_task_begin("a-name-that-is-too-long"), 0);
    task_name(taskprof_task_self(), name);
    assert_string_equal(name, "a-name-that-is-");
    assert_int_equal(taskprof_task_set_name(NULL, "x"), -EINVAL);
}

static void a_coroutine_is_checked_and_ends_once(void **state)
{
    (void)state;
    static char stack[16384];
    struct taskprof_coroutine coroutine = {
        .size = sizeof(coroutine), .name = "fiber", .stack_low = stack, .stack_size = 16384};
    taskprof_task *task = NULL;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &task), 0);
    assert_int_equal(task->parent, taskprof_task_id(taskprof_task_self()));
    assert_true(task_owns_stack(task, (uintptr_t)stack));
    assert_true(task_owns_stack(task, (uintptr_t)stack + 16383));
    assert_false(task_owns_stack(task, (uintptr_t)stack + 16384));
    assert_false(task_owns_stack(task, (uintptr_t)stack - 1));
    assert_int_equal(taskprof_coroutine_end(taskprof_task_self()), -EINVAL);
    assert_int_equal(taskprof_coroutine_end(task), 0);
    assert_int_equal(taskprof_coroutine_end(task), -EINVAL);
    assert_int_equal(taskprof_coroutine_end(NULL), 0);

    taskprof_task *untouched = NULL;
    coroutine.stack_size = 0;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &untouched), -EINVAL);
    coroutine.stack_size = 16384;
    coroutine.stack_low = NULL;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &untouched), -EINVAL);
    coroutine.size = 1;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &untouched), -EINVAL);
    assert_null(untouched);
}

static _Atomic bool stop;

static void *sleeper(void *ret_task)
{
    __atomic_store_n((struct taskprof_task **)ret_task, taskprof_task_self(), __ATOMIC_RELEASE);
    taskprof_park(TASKPROF_SLEEP, NULL);
    while (!atomic_load(&stop))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    taskprof_unpark();
    return NULL;
}

static void the_child_of_a_fork_has_its_own_thread_and_no_other(void **state)
{
    (void)state;
    static struct taskprof_task *task;
    pthread_t thread;
    struct park_record record;
    taskprof_task_self();
    assert_int_equal(pthread_create(&thread, NULL, sleeper, &task), 0);
    eventually(__atomic_load_n(&task, __ATOMIC_ACQUIRE) && parked(task, &record));
    pid_t child = fork();
    if (child == 0) {
        struct taskprof_task *self = thread_self.thread;
        bool good = !parked(task, &record) && atomic_load(&task->state) == TASK_FREE && self &&
                    task_tid(self) == getpid() && task_pin(self);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(parked(task, &record));
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static void every_reason_has_a_text(void **state)
{
    (void)state;
    for (int reason = 1; reason < TASKPROF_REASONS; reason++)
        assert_string_not_equal(taskprof_reason_text((enum taskprof_reason)reason), "unknown");
    assert_string_equal(taskprof_reason_text(TASKPROF_REASONS), "unknown");
    assert_string_equal(taskprof_reason_text(0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_park_records_reason_object_start_and_the_callers_registers),
        cmocka_unit_test(the_outermost_of_nested_parks_is_the_one_that_shows),
        cmocka_unit_test(a_thousand_nested_parks_end_one_by_one),
        cmocka_unit_test(a_park_left_by_longjmp_gives_way_to_the_next_one),
        cmocka_unit_test(errno_is_kept),
        cmocka_unit_test(a_thread_that_exits_while_parked_leaves_nothing_behind),
        cmocka_unit_test(a_thread_created_through_the_wrapper_knows_its_creator_from_the_start),
        cmocka_unit_test(names_are_cut_to_what_a_thread_may_have),
        cmocka_unit_test(a_coroutine_is_checked_and_ends_once),
        cmocka_unit_test(the_child_of_a_fork_has_its_own_thread_and_no_other),
        cmocka_unit_test(every_reason_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
