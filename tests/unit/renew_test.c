// Stacks and channel names that nobody refers to make room for others, and what refers to them
// stays right: tasks, channels, misuses, and snapshots that are not freed yet.

#include "profiler/snapshot/snapshot.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/chan.h>

enum { DEPTH = 16, MANY = 20000, FUNCTION_MAX = 256, STACK_BYTES = 4096 };

// A stack of its own for each path: a bit says which of two functions calls the next one.
typedef taskprof_task *creator(const char *name);
typedef taskprof_task *step(unsigned path, unsigned depth, creator *create, const char *name);
static step left;
static step right;

static taskprof_task *next(unsigned path, unsigned depth, creator *create, const char *name)
{
    if (depth == 0)
        return create(name);
    return (path & 1 ? right : left)(path >> 1, depth - 1, create, name);
}

__attribute__((noinline)) static taskprof_task *left(unsigned path, unsigned depth, creator *create,
                                                     const char *name)
{
    taskprof_task *task = next(path, depth, create, name);
    __asm__ volatile("# left");
    return task;
}

__attribute__((noinline)) static taskprof_task *right(unsigned path, unsigned depth,
                                                      creator *create, const char *name)
{
    taskprof_task *task = next(path, depth, create, name);
    __asm__ volatile("# right");
    return task;
}

// One that is read in no test: it has no frames.
static _Alignas(16) char stacks[8][STACK_BYTES];
static _Thread_local unsigned which_stack;

static taskprof_task *create_coroutine(const char *name)
{
    taskprof_task *task = NULL;
    struct taskprof_coroutine coroutine = {.size = sizeof(coroutine)};
    coroutine.name = name;
    coroutine.stack_low = stacks[which_stack];
    coroutine.stack_size = STACK_BYTES;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &task), 0);
    return task;
}

static taskprof_task *create(unsigned path, const char *name)
{
    return next(path, DEPTH, create_coroutine, name);
}

// Whether a stack is that of this path.
static bool came_by(const struct stack *stack, unsigned path)
{
    unsigned at = 0;
    while (at < stack->depth && stack->frames[at] - (uintptr_t)left >= FUNCTION_MAX &&
           stack->frames[at] - (uintptr_t)right >= FUNCTION_MAX)
        at++;
    for (unsigned bit = DEPTH; bit-- > 0; at++) {
        step *expected = path >> bit & 1 ? right : left;
        if (at >= stack->depth || stack->frames[at] - (uintptr_t)expected >= FUNCTION_MAX)
            return false;
    }
    return true;
}

static struct snapshot *take(unsigned flags)
{
    struct snapshot *snapshot;
    assert_int_equal(snapshot_take(flags, 0, &snapshot), 0);
    return snapshot;
}

static const struct snapshot_group *group_of(const struct snapshot *snapshot, uint64_t id)
{
    for (size_t i = 0; i < snapshot->task_count; i++)
        if (snapshot->task_list[i].id == id)
            return &snapshot->groups[snapshot->task_list[i].group];
    return NULL;
}

static uint64_t left_out(const struct intern *table)
{
    return atomic_load(&table->budget.left_out);
}

static bool is_told(const struct snapshot *snapshot, const struct intern *table)
{
    for (size_t i = 0; i < snapshot->left_out_count; i++)
        if (snapshot->left_out[i].budget == &table->budget)
            return true;
    return false;
}

// So that the old generation, if there is one, is gone.
static void settle(void)
{
    snapshot_free(take(0));
    snapshot_free(take(0));
    assert_int_equal(stack_table.old, INTERN_NO_OLD);
    assert_int_equal(channel_class_table.old, INTERN_NO_OLD);
}

static int with_little_room(void **state)
{
    (void)state;
    settle();
    stack_table.budget.limit = 1 << 20;
    channel_class_table.budget.limit = 256 << 10;
    return 0;
}

static void churn(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        taskprof_coroutine_end(create(i, NULL));
}

static void a_task_keeps_its_creation_stack_while_others_come_and_go(void **state)
{
    (void)state;
    const unsigned path = 0x5a5a;
    taskprof_task *kept = create(path, "kept");
    uint64_t id = taskprof_task_id(kept);
    uint64_t before = left_out(&stack_table);
    stack_id last = 0;
    unsigned turns = 0;
    for (unsigned i = 0; i < MANY; i += 1000) {
        churn(i, 1000);
        struct snapshot *snapshot = take(SNAPSHOT_TASKS);
        const struct snapshot_group *group = group_of(snapshot, id);
        assert_non_null(group);
        assert_true(came_by(stack_get(group->creation), path));
        turns += last && group->creation != last;
        last = group->creation;
        snapshot_free(snapshot);
    }
    assert_true(turns >= 3);
    assert_int_equal(left_out(&stack_table), before);
    assert_int_equal(taskprof_coroutine_end(kept), 0);
}

static void a_full_table_of_stacks_is_told_and_the_next_snapshot_makes_room(void **state)
{
    (void)state;
    uint64_t before = left_out(&stack_table);
    churn(0, MANY); // and nobody looks
    assert_true(left_out(&stack_table) > before);
    taskprof_task *unlucky = create(MANY + 1, "unlucky");
    struct snapshot *snapshot = take(SNAPSHOT_TASKS);
    const struct snapshot_group *group = group_of(snapshot, taskprof_task_id(unlucky));
    assert_int_equal(stack_get(group->creation)->end, STACK_NOT_KEPT);
    assert_true(is_told(snapshot, &stack_table));
    snapshot_free(snapshot);

    before = left_out(&stack_table);
    taskprof_task *lucky = create(MANY + 2, "lucky");
    snapshot = take(SNAPSHOT_TASKS);
    group = group_of(snapshot, taskprof_task_id(lucky));
    assert_true(came_by(stack_get(group->creation), MANY + 2));
    snapshot_free(snapshot);
    assert_int_equal(left_out(&stack_table), before);
    taskprof_coroutine_end(unlucky);
    taskprof_coroutine_end(lucky);
}

static void a_snapshot_keeps_what_its_ids_mean_until_it_is_freed(void **state)
{
    (void)state;
    const unsigned path = 0x1234;
    taskprof_task *task = create(path, "seen");
    struct snapshot *old = take(SNAPSHOT_TASKS);
    const struct snapshot_group *group = group_of(old, taskprof_task_id(task));
    stack_id id = group->creation;
    taskprof_coroutine_end(task);
    for (unsigned i = 0; i < MANY; i += 1000) {
        churn(i, 1000);
        snapshot_free(take(0));
        assert_true(came_by(stack_get(id), path));
    }
    // With no second turn, for this snapshot still has what the first one took out.
    assert_int_equal(stack_table.old, INTERN_RETIRED);
    assert_int_not_equal(intern_renew(&stack_table, id), id);
    snapshot_free(old);
    settle();
    assert_false(came_by(stack_get(id), path));
}

static void the_same_groups_of_two_snapshots_are_found_whatever_turned_between(void **state)
{
    (void)state;
    taskprof_task *task = create(0x777, "both");
    struct snapshot *before = take(SNAPSHOT_TASKS);
    uint64_t id = taskprof_task_id(task);
    struct snapshot *now = NULL;
    for (unsigned i = 0; !now || group_of(now, id)->creation == group_of(before, id)->creation;
         i += 1000) {
        assert_true(i < MANY);
        snapshot_free(now);
        churn(i, 1000);
        now = take(SNAPSHOT_TASKS);
    }
    snapshot_align(before, now);
    assert_int_equal(group_of(before, id)->creation, group_of(now, id)->creation);
    assert_int_equal(group_of(before, id)->stack, group_of(now, id)->stack);
    snapshot_free(before);
    snapshot_free(now);
    taskprof_coroutine_end(task);
}

static taskprof_chan *make_named(const char *prefix, unsigned number)
{
    char name[TASKPROF_CHAN_NAME_SIZE];
    taskprof_chan *channel;
    snprintf(name, sizeof(name), "%s-%u", prefix, number);
    assert_int_equal(taskprof_chan_make(1, 0, name, &channel), 0);
    return channel;
}

static void make_and_free(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        assert_int_equal(taskprof_chan_free(make_named("conn", i)), 0);
}

static const struct channel_class *class_of(const struct snapshot *snapshot,
                                            const taskprof_chan *channel)
{
    for (size_t i = 0; i < snapshot->channel_count; i++)
        if (snapshot->channels[i].object == (uintptr_t)channel)
            return channel_class_get(snapshot->channels[i].channel_class);
    return NULL;
}

static void assert_named(const taskprof_chan *channel, const char *name)
{
    struct snapshot *snapshot = take(0);
    const struct channel_class *class = class_of(snapshot, channel);
    assert_non_null(class);
    assert_string_equal(class->name, name);
    snapshot_free(snapshot);
}

static void a_channel_keeps_its_name_while_others_come_and_go(void **state)
{
    (void)state;
    uint64_t before = left_out(&channel_class_table);
    taskprof_chan *kept = make_named("kept", 1);
    for (unsigned i = 0; i < MANY; i += 1000) {
        make_and_free(i, 1000);
        assert_named(kept, "kept-1");
    }
    assert_int_equal(left_out(&channel_class_table), before);
    taskprof_chan_free(kept);
}

static void channels_without_room_for_a_name_get_theirs_with_the_next_snapshot(void **state)
{
    (void)state;
    uint64_t before = left_out(&channel_class_table);
    make_and_free(0, MANY); // and nobody looks
    assert_true(left_out(&channel_class_table) > before);
    taskprof_chan *channel = make_named("late", 1);
    struct snapshot *snapshot = take(0);
    assert_true(is_told(snapshot, &channel_class_table));
    snapshot_free(snapshot);
    assert_named(channel, "late-1");
    taskprof_chan_free(channel);
}

static void unnamed_channels_of_one_place_stay_one_class(void **state)
{
    (void)state;
    taskprof_chan *pair[2];
    for (volatile int i = 0; i < 2; i++) // not unrolled, for that would make it two places
        assert_int_equal(taskprof_chan_make(1, 0, NULL, &pair[i]), 0);
    for (unsigned i = 0; i < MANY; i += 1000) {
        churn(i, 1000);
        make_and_free(i, 1000);
        struct snapshot *snapshot = take(0);
        const struct channel_class *class = class_of(snapshot, pair[0]);
        assert_non_null(class);
        assert_ptr_equal(class_of(snapshot, pair[1]), class);
        assert_true(stack_get(class->creation)->depth > 1);
        snapshot_free(snapshot);
    }
    taskprof_chan_free(pair[0]);
    taskprof_chan_free(pair[1]);
}

__attribute__((noinline)) static void close_first(taskprof_chan *channel)
{
    assert_int_equal(taskprof_chan_close(channel), 0);
    __asm__ volatile("# first");
}

__attribute__((noinline)) static void close_again(taskprof_chan *channel)
{
    assert_int_equal(taskprof_chan_close(channel), -EALREADY);
    __asm__ volatile("# again");
}

static bool has(stack_id id, const void *function)
{
    const struct stack *stack = stack_get(id);
    for (unsigned i = 0; i < stack->depth; i++)
        if (stack->frames[i] - (uintptr_t)function < FUNCTION_MAX)
            return true;
    return false;
}

static void a_misuse_keeps_both_stacks_and_a_later_one_finds_the_first_close(void **state)
{
    (void)state;
    taskprof_chan *channel = make_named("twice", 1);
    close_first(channel);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MANY; i += 1000) {
            churn(i, 1000);
            snapshot_free(take(0));
        }
        close_again(channel);
        struct snapshot *snapshot = take(0);
        assert_true(has(snapshot->misuses.latest[0].stack, close_again));
        assert_true(has(snapshot->misuses.latest[0].earlier, close_first));
        snapshot_free(snapshot);
    }
    taskprof_chan_free(channel);
}

// The application goes on while the collector renews.
enum { THREADS = 3, SNAPSHOTS = 150 };
static _Atomic bool over;

static void *come_and_go(void *argument)
{
    unsigned mine = (unsigned)(uintptr_t)argument;
    taskprof_task *tasks[8] = {NULL};
    which_stack = 1 + mine;
    for (unsigned i = mine; !atomic_load(&over); i += THREADS) {
        char name[TASKPROF_NAME_SIZE];
        unsigned path = i & ((1 << DEPTH) - 1);
        taskprof_task **task = &tasks[i / THREADS % 8];
        if (*task)
            taskprof_coroutine_end(*task);
        snprintf(name, sizeof(name), "path %u", path);
        *task = create(path, name);
        taskprof_chan *channel = make_named("conn", i);
        close_first(channel);
        if (i % 64 == 0)
            close_again(channel);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
    for (int i = 0; i < 8; i++)
        if (tasks[i])
            taskprof_coroutine_end(tasks[i]);
    return NULL;
}

// How many tasks were compared.
static unsigned check_paths(const struct snapshot *snapshot)
{
    unsigned compared = 0;
    for (size_t i = 0; i < snapshot->task_count; i++) {
        const struct snapshot_task *task = &snapshot->task_list[i];
        struct task_details details;
        if (!snapshot_task_details(snapshot, task, NULL, &details) ||
            strncmp(details.name, "path ", 5) != 0)
            continue;
        const struct stack *creation = stack_get(snapshot->groups[task->group].creation);
        if (creation->end == STACK_NOT_KEPT)
            continue;
        assert_true(came_by(creation, (unsigned)strtoul(details.name + 5, NULL, 10)));
        compared++;
    }
    return compared;
}

static void all_is_right_while_tasks_and_channels_come_and_go_on_other_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned compared = 0;
    unsigned turns = 0;
    uint32_t young = atomic_load(&stack_table.young);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)i), 0);
    for (int i = 0; i < 100 * SNAPSHOTS && (i < SNAPSHOTS || turns < 5 || !compared); i++) {
        struct snapshot *snapshot = take(SNAPSHOT_TASKS);
        compared += check_paths(snapshot);
        snapshot_free(snapshot);
        turns += atomic_load(&stack_table.young) != young;
        young = atomic_load(&stack_table.young);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(turns >= 5);
    assert_true(compared > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_keeps_its_creation_stack_while_others_come_and_go),
        cmocka_unit_test(a_full_table_of_stacks_is_told_and_the_next_snapshot_makes_room),
        cmocka_unit_test(a_snapshot_keeps_what_its_ids_mean_until_it_is_freed),
        cmocka_unit_test(the_same_groups_of_two_snapshots_are_found_whatever_turned_between),
        cmocka_unit_test(a_channel_keeps_its_name_while_others_come_and_go),
        cmocka_unit_test(channels_without_room_for_a_name_get_theirs_with_the_next_snapshot),
        cmocka_unit_test(unnamed_channels_of_one_place_stay_one_class),
        cmocka_unit_test(a_misuse_keeps_both_stacks_and_a_later_one_finds_the_first_close),
        cmocka_unit_test(all_is_right_while_tasks_and_channels_come_and_go_on_other_threads),
    };
    return cmocka_run_group_tests(tests, with_little_room, NULL);
}
