// Described queues are channels like any other, read while they change.

#include "profiler/channels/channel.h"
#include "tests/unit/chan_helpers.h"

#include <errno.h>

struct sized {
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
};

static struct channel *entry_of(const void *object)
{
    for (uint32_t i = 0; i < slab_high(&channel_slab); i++) {
        struct channel *channel = slab_at(&channel_slab, i);
        if (!channel_pin(channel))
            continue;
        bool found = channel->object == (uintptr_t)object;
        channel_unpin(channel);
        if (found)
            return channel;
    }
    return NULL;
}

static struct channel_reading read_of(const void *object)
{
    struct channel *entry = entry_of(object);
    assert_non_null(entry);
    struct channel_reading reading;
    entry->read(entry, &reading);
    return reading;
}

static taskprof_queue_handle *register_ok(const struct taskprof_queue *queue)
{
    taskprof_queue_handle *handle = NULL;
    assert_int_equal(taskprof_queue_register(queue, &handle), 0);
    assert_non_null(handle);
    return handle;
}

static void numbers_of_every_size_are_read(void **state)
{
    (void)state;
    struct sized sized = {.one = 200, .two = 60000, .four = 4000000000u, .eight = 1ull << 40};
    const struct {
        const void *at;
        size_t size;
        int64_t expected;
    } numbers[] = {
        {&sized.one, 1, 200},
        {&sized.two, 2, 60000},
        {&sized.four, 4, 4000000000},
        {&sized.eight, 8, (int64_t)1 << 40},
    };
    for (int i = 0; i < 4; i++) {
        struct taskprof_queue queue = {.size = sizeof(queue),
                                       .object = &sized,
                                       .length = numbers[i].at,
                                       .length_size = numbers[i].size,
                                       .capacity = numbers[3 - i].at,
                                       .capacity_size = numbers[3 - i].size,
                                       .closed = numbers[i].at,
                                       .closed_size = numbers[i].size};
        taskprof_queue_handle *handle = register_ok(&queue);
        struct channel_reading reading = read_of(&sized);
        assert_int_equal(reading.length, numbers[i].expected);
        assert_int_equal(reading.capacity, numbers[3 - i].expected);
        assert_true(reading.closed);
        taskprof_queue_unregister(handle);
        assert_null(entry_of(&sized));
    }
}

static void what_is_not_described_is_unknown(void **state)
{
    (void)state;
    int object;
    struct taskprof_queue queue = {.size = sizeof(queue), .object = &object};
    taskprof_queue_handle *handle = register_ok(&queue);
    struct channel_reading reading = read_of(&object);
    assert_int_equal(reading.length, TASKPROF_UNKNOWN);
    assert_int_equal(reading.capacity, TASKPROF_UNKNOWN);
    assert_false(reading.closed);
    assert_int_equal(reading.last_operation, CHANNEL_NEVER);
    assert_true(entry_of(&object)->foreign);
    taskprof_queue_unregister(handle);
}

static int64_t length_of(const void *object)
{
    return *(const int *)object + 1;
}

static int64_t minus_five(const void *object)
{
    (void)object;
    return -5;
}

static void callbacks_win_over_pointers(void **state)
{
    (void)state;
    int object = 41;
    uint64_t number = 1000;
    struct taskprof_queue queue = {.size = sizeof(queue),
                                   .object = &object,
                                   .length = &number,
                                   .length_size = 8,
                                   .length_of = length_of,
                                   .capacity = &number,
                                   .capacity_size = 8,
                                   .capacity_of = minus_five};
    taskprof_queue_handle *handle = register_ok(&queue);
    struct channel_reading reading = read_of(&object);
    assert_int_equal(reading.length, 42);
    assert_int_equal(reading.capacity, TASKPROF_UNKNOWN);
    taskprof_queue_unregister(handle);
}

static void bad_descriptions_are_refused(void **state)
{
    (void)state;
    uint64_t number = 0;
    taskprof_queue_handle *handle = (taskprof_queue_handle *)1;
    const struct taskprof_queue good = {
        .size = sizeof(good), .object = &number, .length = &number, .length_size = 8};
    struct taskprof_queue queue = good;
    assert_int_equal(taskprof_queue_register(NULL, &handle), -EINVAL);
    assert_int_equal(taskprof_queue_register(&queue, NULL), -EINVAL);
    queue.object = NULL;
    assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
    queue = good;
    queue.size = sizeof(queue) - 1;
    assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
    static const size_t wrong_sizes[] = {0, 3, 5, 16, SIZE_MAX};
    for (int i = 0; i < 5; i++) {
        queue = good;
        queue.length_size = wrong_sizes[i];
        assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
        queue = good;
        queue.capacity = &number;
        queue.capacity_size = wrong_sizes[i];
        assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
        queue = good;
        queue.closed = &number;
        queue.closed_size = wrong_sizes[i];
        assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
    }
    queue = good;
    queue.length = (char *)&number + 2;
    queue.length_size = 4;
    assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
    queue = good;
    queue.length = NULL;
    assert_int_equal(taskprof_queue_register(&queue, &handle), -EINVAL);
    assert_ptr_equal(handle, (void *)1);
    assert_null(entry_of(&number));
}

static void wait_objects_are_kept_with_their_sides(void **state)
{
    (void)state;
    int object;
    int on[4];
    struct taskprof_queue queue = {.size = sizeof(queue),
                                   .name = "jobs",
                                   .object = &object,
                                   .receive_waits = {&on[0], NULL, &on[1]},
                                   .send_waits = {NULL, &on[2], NULL, &on[3]}};
    taskprof_queue_handle *handle = register_ok(&queue);
    struct channel *entry = entry_of(&object);
    assert_string_equal(entry->name, "jobs");
    for (int i = 0; i < CHANNEL_WAITS; i++) {
        assert_int_equal(entry->waits[i], i < 4 ? (uintptr_t)&on[i] : 0);
        assert_int_equal(entry->wait_is_send[i], i == 2 || i == 3);
    }
    taskprof_queue_unregister(handle);
    // The slot is used again for a queue without any.
    struct taskprof_queue plain = {.size = sizeof(plain), .object = &object};
    handle = register_ok(&plain);
    for (int i = 0; i < CHANNEL_WAITS; i++)
        assert_int_equal(entry_of(&object)->waits[i], 0);
    taskprof_queue_unregister(handle);
}

static void notes_are_the_last_operation(void **state)
{
    (void)state;
    static const struct {
        enum taskprof_queue_operation noted;
        enum channel_operation expected;
    } operations[] = {{TASKPROF_QUEUE_SENT, CHANNEL_SENT},
                      {TASKPROF_QUEUE_RECEIVED, CHANNEL_RECEIVED},
                      {TASKPROF_QUEUE_CLOSED, CHANNEL_CLOSED}};
    int object;
    struct taskprof_queue queue = {.size = sizeof(queue), .object = &object};
    taskprof_queue_handle *handle = register_ok(&queue);
    for (int i = 0; i < 3; i++) {
        taskprof_queue_note(handle, operations[i].noted);
        struct channel_reading reading = read_of(&object);
        assert_int_equal(reading.last_operation, operations[i].expected);
        assert_int_equal(reading.last_task, taskprof_task_id(taskprof_task_self()));
        assert_int_not_equal(reading.last_ns, 0);
    }
    taskprof_queue_note(handle, (enum taskprof_queue_operation)9);
    assert_int_equal(read_of(&object).last_operation, CHANNEL_CLOSED);
    taskprof_queue_note(NULL, TASKPROF_QUEUE_SENT);
    taskprof_queue_unregister(handle);
    taskprof_queue_unregister(handle);
    taskprof_queue_unregister(NULL);
}

static _Atomic bool stop;

static void *change(void *argument)
{
    // Plain stores, as an application makes them under a lock of its own.
    volatile uint32_t *count = argument;
    for (uint32_t i = 0; !atomic_load(&stop); i++)
        *count = i % 2 ? 0 : 0xffffffff;
    return NULL;
}

static void a_number_that_changes_is_never_read_torn(void **state)
{
    (void)state;
    static uint32_t count;
    struct taskprof_queue queue = {
        .size = sizeof(queue), .object = &count, .length = &count, .length_size = 4};
    taskprof_queue_handle *handle = register_ok(&queue);
    pthread_t changing;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&changing, NULL, change, &count), 0);
    struct channel *entry = entry_of(&count);
    int64_t seen[2] = {0};
    for (int i = 0; i < 100000 || !seen[0] || !seen[1]; i++) {
        struct channel_reading reading;
        entry->read(entry, &reading);
        assert_true(reading.length == 0 || reading.length == 0xffffffff);
        seen[reading.length != 0]++;
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(changing, NULL), 0);
    taskprof_queue_unregister(handle);
}

static _Atomic bool unregistered;

static void *unregister(void *handle)
{
    taskprof_queue_unregister(handle);
    atomic_store(&unregistered, true);
    return NULL;
}

static void unregistering_waits_for_whoever_looks(void **state)
{
    (void)state;
    int object = 5;
    struct taskprof_queue queue = {
        .size = sizeof(queue), .object = &object, .length = &object, .length_size = 4};
    taskprof_queue_handle *handle = register_ok(&queue);
    struct channel *entry = entry_of(&object);
    assert_true(channel_pin(entry));
    pthread_t ending;
    assert_int_equal(pthread_create(&ending, NULL, unregister, handle), 0);
    eventually(atomic_load(&entry->state) == CHANNEL_ENDING);
    // Nobody new may look, and who does already still can.
    assert_false(channel_pin(entry));
    struct channel_reading reading;
    entry->read(entry, &reading);
    assert_int_equal(reading.length, 5);
    assert_false(atomic_load(&unregistered));
    channel_unpin(entry);
    assert_int_equal(pthread_join(ending, NULL), 0);
    assert_true(atomic_load(&unregistered));
    assert_int_equal(atomic_load(&entry->state), CHANNEL_FREE);
}

static void *come_and_go(void *argument)
{
    uint64_t object = (uintptr_t)argument;
    for (int i = 0; i < 5000; i++) {
        struct taskprof_queue queue = {
            .size = sizeof(queue), .object = &object, .length = &object, .length_size = 8};
        taskprof_queue_handle *handle;
        if (taskprof_queue_register(&queue, &handle) != 0)
            return argument;
        taskprof_queue_note(handle, TASKPROF_QUEUE_SENT);
        taskprof_queue_unregister(handle);
    }
    return NULL;
}

static void *look(void *argument)
{
    (void)argument;
    uint64_t wrong = 0;
    while (!atomic_load(&stop)) {
        for (uint32_t i = 0; i < slab_high(&channel_slab); i++) {
            struct channel *channel = slab_at(&channel_slab, i);
            if (!channel_pin(channel))
                continue;
            struct channel_reading reading;
            channel->read(channel, &reading);
            // Each queue's length is its thread's number.
            wrong += reading.length < 1 || reading.length > 2;
            channel_unpin(channel);
        }
    }
    return (void *)(uintptr_t)wrong;
}

static void queues_come_and_go_while_a_collector_looks(void **state)
{
    (void)state;
    pthread_t looking;
    pthread_t coming[2];
    void *result;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&looking, NULL, look, NULL), 0);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&coming[i], NULL, come_and_go, (void *)(i + 1)), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(coming[i], &result), 0);
        assert_null(result);
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(looking, &result), 0);
    assert_null(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_size_are_read),
        cmocka_unit_test(what_is_not_described_is_unknown),
        cmocka_unit_test(callbacks_win_over_pointers),
        cmocka_unit_test(bad_descriptions_are_refused),
        cmocka_unit_test(wait_objects_are_kept_with_their_sides),
        cmocka_unit_test(notes_are_the_last_operation),
        cmocka_unit_test(a_number_that_changes_is_never_read_torn),
        cmocka_unit_test(unregistering_waits_for_whoever_looks),
        cmocka_unit_test(queues_come_and_go_while_a_collector_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
