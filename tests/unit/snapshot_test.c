// A snapshot shows every task once, where it is, why, since when and on what; and stops nothing.

#include "profiler/snapshot/snapshot.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>
#include <ucontext.h>
#include <unistd.h>

static struct snapshot *take(unsigned flags, uint64_t since_ns)
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_take(flags, since_ns, &snapshot), 0);
    assert_non_null(snapshot);
    return snapshot;
}

// The functions of this file that tests look for in stacks are not inlined and shorter than this.
enum { FUNCTION_MAX = 1024 };

static bool stack_has(stack_id id, const void *function)
{
    const struct stack *stack = stack_get(id);
    for (unsigned i = 0; i < stack->depth; i++)
        if (stack->frames[i] - (uintptr_t)function < FUNCTION_MAX)
            return true;
    return false;
}

// The group of tasks with this activity and reason that have a function on their stack.
static const struct snapshot_group *group_of(const struct snapshot *snapshot, int activity,
                                             int reason, const void *function)
{
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        if (group->activity == activity && (activity != TASK_PARKED || group->reason == reason) &&
            stack_has(group->stack, function))
            return group;
    }
    return NULL;
}

static uint64_t count_of(int activity, int reason, const void *function)
{
    struct snapshot *snapshot = take(0, 0);
    const struct snapshot_group *group = group_of(snapshot, activity, reason, function);
    uint64_t count = group ? group->count : 0;
    snapshot_free(snapshot);
    return count;
}

// Blocked threads that all leave when told to.
static struct room {
    pthread_mutex_t lock;
    pthread_cond_t leave;
    bool open;
} room = {.lock = PTHREAD_MUTEX_INITIALIZER, .leave = PTHREAD_COND_INITIALIZER};

static __attribute__((noinline)) void wait_in_room(enum taskprof_reason reason, const void *object)
{
    pthread_mutex_lock(&room.lock);
    taskprof_park(reason, object);
    while (!room.open)
        pthread_cond_wait(&room.leave, &room.lock);
    taskprof_unpark();
    pthread_mutex_unlock(&room.lock);
}

static void open_room(pthread_t *threads, int count)
{
    pthread_mutex_lock(&room.lock);
    room.open = true;
    pthread_cond_broadcast(&room.leave);
    pthread_mutex_unlock(&room.lock);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    room.open = false;
}

static void *blocked_on(void *object)
{
    wait_in_room(TASKPROF_SEMACQUIRE, object);
    return NULL;
}

enum { THREADS = 5 };

static void blocked_threads_form_one_group_with_their_reason_stack_and_waits(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int object;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(taskprof_pthread_create(&threads[i], NULL, blocked_on, &object), 0);
    eventually(count_of(TASK_PARKED, TASKPROF_SEMACQUIRE, wait_in_room) == THREADS);

    struct snapshot *first = take(0, 0);
    struct snapshot *second = take(SNAPSHOT_TASKS, first->monotonic_ns);
    const struct snapshot_group *group =
        group_of(second, TASK_PARKED, TASKPROF_SEMACQUIRE, wait_in_room);
    assert_non_null(group);
    assert_int_equal(group->count, THREADS);
    assert_int_equal(group->threads, THREADS);
    assert_ptr_equal(group->object, &object);
    assert_true(stack_has(group->stack, blocked_on));
    assert_int_equal(stack_get(group->stack)->end, STACK_WHOLE);
    assert_true(stack_has(group->creation,
                          blocked_threads_form_one_group_with_their_reason_stack_and_waits));
    assert_int_equal(group->stuck_since, THREADS);
    assert_true(group->wait_max_ns >= second->monotonic_ns - first->monotonic_ns);
    assert_true(group->wait_sum_ns <= THREADS * group->wait_max_ns);
    uint64_t aged = 0;
    for (int i = 0; i < SNAPSHOT_AGES; i++)
        aged += group->ages[i];
    assert_int_equal(aged, THREADS);

    uint64_t listed = 0, sum = 0;
    for (size_t i = 0; i < second->task_count; i++)
        listed += &second->groups[second->task_list[i].group] == group;
    for (size_t i = 0; i < second->group_count; i++)
        sum += second->groups[i].count;
    assert_int_equal(listed, THREADS);
    assert_int_equal(sum, second->tasks);
    assert_int_equal(second->task_count, second->tasks);
    assert_int_equal(second->threads + second->coroutines, second->tasks);
    // The same stack is not unwound twice: its id is the same.
    const struct snapshot_group *before =
        group_of(first, TASK_PARKED, TASKPROF_SEMACQUIRE, wait_in_room);
    assert_int_equal(before->stack, group->stack);
    snapshot_free(first);
    snapshot_free(second);

    open_room(threads, THREADS);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_SEMACQUIRE, wait_in_room), 0);
}

// Two calls from one place: the first never blocks, the second does.
static struct call {
    _Atomic bool began;
    _Atomic bool ends;
    int pipe[2];
} a_call;

static __attribute__((noinline)) void call_twice(void)
{
    char byte;
    taskprof_park_call(TASKPROF_IO_WAIT, &a_call);
    atomic_store(&a_call.began, true);
    while (!atomic_load(&a_call.ends))
        continue;
    taskprof_unpark();
    taskprof_park_call(TASKPROF_IO_WAIT, &a_call);
    assert_int_equal(read(a_call.pipe[0], &byte, 1), 0);
    taskprof_unpark();
}

static void *calls(void *argument)
{
    call_twice();
    return argument;
}

static void a_call_is_a_wait_only_while_it_blocks(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pipe(a_call.pipe), 0);
    assert_int_equal(pthread_create(&thread, NULL, calls, NULL), 0);
    eventually(atomic_load(&a_call.began));
    // Asked more than once: what was not believed may not come back out of a cache.
    for (int i = 0; i < 10; i++)
        assert_int_equal(count_of(TASK_PARKED, TASKPROF_IO_WAIT, call_twice), 0);
    atomic_store(&a_call.ends, true);
    eventually(count_of(TASK_PARKED, TASKPROF_IO_WAIT, call_twice) == 1);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_IO_WAIT, call_twice), 1);
    close(a_call.pipe[1]);
    pthread_join(thread, NULL);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_IO_WAIT, call_twice), 0);
    close(a_call.pipe[0]);
}

static int release[2];

static __attribute__((noinline)) ssize_t read_without_telling(void)
{
    char byte;
    ssize_t got = read(release[0], &byte, 1);
    __asm__ volatile("" ::: "memory");
    return got;
}

static void *stranger(void *unused)
{
    (void)unused;
    read_without_telling();
    return NULL;
}

static bool has_stranger(void)
{
    struct snapshot *snapshot = take(0, 0);
    bool found = false;
    for (size_t i = 0; i < snapshot->group_count; i++)
        found |= snapshot->groups[i].activity == TASK_IN_SYSCALL &&
                 snapshot->groups[i].syscall == 0 && snapshot->groups[i].stack;
    snapshot_free(snapshot);
    return found;
}

static void a_thread_that_never_called_the_library_is_counted_with_its_system_call(void **state)
{
    (void)state;
    struct snapshot *before = take(0, 0);
    assert_int_equal(pipe(release), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stranger, NULL), 0);
    eventually(has_stranger());
    struct snapshot *first = take(SNAPSHOT_TASKS, 0), *second = take(SNAPSHOT_TASKS, 0);
    assert_int_equal(first->tasks, before->tasks + 1);
    assert_int_equal(second->tasks, first->tasks);
    // It keeps its id.
    for (size_t i = 0; i < first->task_count; i++) {
        bool there = false;
        for (size_t k = 0; k < second->task_count; k++)
            there |= second->task_list[k].id == first->task_list[i].id;
        assert_true(there);
    }
    assert_int_equal(write(release[1], "x", 1), 1);
    pthread_join(thread, NULL);
    snapshot_free(before);
    snapshot_free(first);
    snapshot_free(second);
    close(release[0]);
    close(release[1]);
}

// A stranger that goes from one call to another when it is told to.
static int steps[2];

static __attribute__((noinline)) void first_call(void)
{
    char byte;
    assert_int_equal(read(steps[0], &byte, 1), 1);
    __asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void second_call(void)
{
    char byte;
    assert_int_equal(recv(steps[0], &byte, 1, 0), 1);
    __asm__ volatile("" ::: "memory");
}

static void *goes_on(void *unused)
{
    (void)unused;
    first_call();
    second_call();
    return NULL;
}

// The system call of the thread that waits in this function; -1: none does.
static int call_of(const void *function)
{
    struct snapshot *snapshot = take(0, 0);
    const struct snapshot_group *group = group_of(snapshot, TASK_IN_SYSCALL, 0, function);
    int number = group ? group->syscall : -1;
    snapshot_free(snapshot);
    return number;
}

static void a_thread_outside_any_park_is_shown_where_it_is_now_and_not_where_it_was(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    // The sanitizers' own read is compiled with frame pointers, and /proc tells none.
    skip();
#endif
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, steps), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, goes_on, NULL), 0);
    eventually(call_of(first_call) == SYS_read);
    for (int i = 0; i < 3; i++) // it is known, and has not run
        assert_int_equal(call_of(first_call), SYS_read);
    assert_int_equal(write(steps[1], "x", 1), 1);
    eventually(call_of(second_call) == SYS_recvfrom);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_of(second_call), SYS_recvfrom);
    assert_int_equal(write(steps[1], "x", 1), 1);
    pthread_join(thread, NULL);
    eventually(call_of(second_call) == -1);
    close(steps[0]);
    close(steps[1]);
}

// A coroutine of the simplest kind: two contexts and a switch.
static ucontext_t outside, inside;
static taskprof_task *fiber;
static taskprof_chan *fiber_channel;

static __attribute__((noinline)) void fiber_waits(void)
{
    taskprof_task_park(fiber, TASKPROF_CHAN_RECEIVE, fiber_channel);
    swapcontext(&inside, &outside);
    taskprof_task_unpark(fiber);
}

static void fiber_main(void)
{
    fiber_waits();
    swapcontext(&inside, &outside);
}

static void a_parked_coroutine_is_unwound_on_its_own_stack(void **state)
{
    (void)state;
    enum { STACK = 64 * 1024 };
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(taskprof_chan_make(sizeof(int), 3, "fiber-jobs", &fiber_channel), 0);
    struct taskprof_coroutine description = {
        .size = sizeof(description), .name = "fiber", .stack_low = stack, .stack_size = STACK};
    assert_int_equal(taskprof_coroutine_begin(&description, &fiber), 0);
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = STACK;
    inside.uc_link = &outside;
    makecontext(&inside, fiber_main, 0);
    swapcontext(&outside, &inside);

    struct snapshot *snapshot = take(SNAPSHOT_TASKS, 0);
    const struct snapshot_group *group =
        group_of(snapshot, TASK_PARKED, TASKPROF_CHAN_RECEIVE, fiber_waits);
    assert_non_null(group);
    assert_int_equal(group->count, 1);
    assert_int_equal(group->threads, 0);
    assert_true(stack_has(group->stack, fiber_main));
    assert_int_not_equal(group->channel, SNAPSHOT_NO_CHANNEL);
    const struct snapshot_channel *channel = &snapshot->channels[group->channel];
    assert_string_equal(channel->name, "fiber-jobs");
    assert_int_equal(channel->receivers, 1);
    assert_int_equal(channel->senders, 0);
    assert_int_equal(channel->reading.capacity, 3);
    assert_int_equal(channel->reading.length, 0);
    assert_string_equal(channel_class_get(group->channel_class)->name, "fiber-jobs");
    bool found = false;
    for (size_t i = 0; i < snapshot->task_count; i++) {
        struct task_details details;
        if (snapshot->task_list[i].id != taskprof_task_id(fiber))
            continue;
        found = true;
        assert_true(snapshot_task_details(snapshot, &snapshot->task_list[i], NULL, &details));
        assert_string_equal(details.name, "fiber");
        assert_int_equal(details.parent, taskprof_task_id(taskprof_task_self()));
        assert_int_equal(details.tid, 0);
        assert_int_equal(details.channel, group->channel);
    }
    assert_true(found);
    snapshot_free(snapshot);

    // Once more, out of the cache: the same sums.
    snapshot = take(0, 0);
    group = group_of(snapshot, TASK_PARKED, TASKPROF_CHAN_RECEIVE, fiber_waits);
    assert_int_equal(snapshot->channels[group->channel].receivers, 1);
    snapshot_free(snapshot);

    swapcontext(&outside, &inside);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_CHAN_RECEIVE, fiber_waits), 0);
    assert_int_equal(taskprof_coroutine_end(fiber), 0);
    munmap(stack, STACK);
    assert_int_equal(taskprof_chan_free(fiber_channel), 0);
}

static void a_wait_on_a_described_queues_condition_variable_is_a_receive_on_that_queue(void **state)
{
    (void)state;
    struct {
        unsigned count;
        uint64_t limit;
        pthread_cond_t not_empty;
    } queue = {.count = 0, .limit = 16, .not_empty = PTHREAD_COND_INITIALIZER};
    struct taskprof_queue description = {
        .size = sizeof(description),
        .name = "own-queue",
        .object = &queue,
        .length = &queue.count,
        .length_size = sizeof(queue.count),
        .capacity = &queue.limit,
        .capacity_size = sizeof(queue.limit),
        .receive_waits = {&queue.not_empty},
    };
    taskprof_queue_handle *handle;
    assert_int_equal(taskprof_queue_register(&description, &handle), 0);
    pthread_t thread;
    assert_int_equal(taskprof_pthread_create(&thread, NULL, blocked_on, &queue.not_empty), 0);
    eventually(count_of(TASK_PARKED, TASKPROF_CHAN_RECEIVE, wait_in_room) == 1);
    struct snapshot *snapshot = take(0, 0);
    const struct snapshot_group *group =
        group_of(snapshot, TASK_PARKED, TASKPROF_CHAN_RECEIVE, wait_in_room);
    const struct snapshot_channel *channel = &snapshot->channels[group->channel];
    assert_string_equal(channel->name, "own-queue");
    assert_true(channel->foreign);
    assert_int_equal(channel->reading.capacity, 16);
    assert_int_equal(channel->receivers, 1);
    assert_int_equal(channel->senders, 0);
    snapshot_free(snapshot);
    // Without the description, what it waits on is a semaphore again: no stale answer is kept.
    taskprof_queue_unregister(handle);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_CHAN_RECEIVE, wait_in_room), 0);
    assert_int_equal(count_of(TASK_PARKED, TASKPROF_SEMACQUIRE, wait_in_room), 1);
    open_room(&thread, 1);
}

static void *select_on(void *channels)
{
    taskprof_chan **pair = channels;
    struct taskprof_case cases[] = {{.channel = pair[0]}, {.channel = pair[1], .send = true}};
    unsigned chosen;
    taskprof_select(cases, 2, TASKPROF_FOREVER, &chosen);
    return NULL;
}

static uint64_t selects(void)
{
    struct snapshot *snapshot = take(0, 0);
    uint64_t count = 0;
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (snapshot->groups[i].activity == TASK_PARKED &&
            snapshot->groups[i].reason == TASKPROF_SELECT)
            count += snapshot->groups[i].count;
    snapshot_free(snapshot);
    return count;
}

static void a_select_waits_on_each_of_its_channels(void **state)
{
    (void)state;
    taskprof_chan *pair[2];
    assert_int_equal(taskprof_chan_make(0, 0, "left", &pair[0]), 0);
    assert_int_equal(taskprof_chan_make(0, 0, "right", &pair[1]), 0);
    pthread_t thread;
    assert_int_equal(taskprof_pthread_create(&thread, NULL, select_on, pair), 0);
    eventually(selects() == 1);
    for (int round = 0; round < 2; round++) {
        struct snapshot *snapshot = take(0, 0);
        unsigned seen = 0;
        for (size_t i = 0; i < snapshot->channel_count; i++) {
            const struct snapshot_channel *channel = &snapshot->channels[i];
            bool left = strcmp(channel->name, "left") == 0;
            if (!left && strcmp(channel->name, "right") != 0)
                continue;
            assert_int_equal(channel->receivers, left ? 1 : 0);
            assert_int_equal(channel->senders, left ? 0 : 1);
            seen++;
        }
        assert_int_equal(seen, 2);
        snapshot_free(snapshot);
    }
    assert_int_equal(taskprof_chan_close(pair[0]), 0);
    pthread_join(thread, NULL);
    assert_int_equal(taskprof_chan_free(pair[0]), 0);
    assert_int_equal(taskprof_chan_free(pair[1]), 0);
}

static void the_main_binary_comes_first_among_what_names_are_looked_up_in(void **state)
{
    (void)state;
    struct snapshot *snapshot = take(0, 0);
    assert_true(snapshot->mapping_count > 1);
    const struct mapping *main_mapping = &snapshot->mappings[snapshot->main_mapping];
    assert_in_range((uintptr_t)take, main_mapping->start, main_mapping->limit - 1);
    assert_non_null(strstr(main_mapping->path, "snapshot_test"));
    snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_threads_form_one_group_with_their_reason_stack_and_waits),
        cmocka_unit_test(a_call_is_a_wait_only_while_it_blocks),
        cmocka_unit_test(a_thread_that_never_called_the_library_is_counted_with_its_system_call),
        cmocka_unit_test(a_thread_outside_any_park_is_shown_where_it_is_now_and_not_where_it_was),
        cmocka_unit_test(a_parked_coroutine_is_unwound_on_its_own_stack),
        cmocka_unit_test(
            a_wait_on_a_described_queues_condition_variable_is_a_receive_on_that_queue),
        cmocka_unit_test(a_select_waits_on_each_of_its_channels),
        cmocka_unit_test(the_main_binary_comes_first_among_what_names_are_looked_up_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
