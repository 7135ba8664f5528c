// What a dump gets to know of a channel: its entry in the registry, and its last operation.

#include "profiler/base/clock.h"
#include "profiler/channels/channel.h"
#include "tests/unit/chan_helpers.h"

#include <string.h>

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

static void the_registry_shows_what_a_channel_looks_like(void **state)
{
    (void)state;
    taskprof_chan *channel;
    uint32_t version = channel_version();
    assert_int_equal(taskprof_chan_make(4, 8, "orders", &channel), 0);
    assert_int_not_equal(channel_version(), version);
    struct channel *entry = entry_of(channel);
    assert_non_null(entry);
    assert_string_equal(entry->name, "orders");
    assert_false(entry->foreign);
    assert_int_equal(entry->created_by, taskprof_task_id(taskprof_task_self()));
    assert_int_not_equal(entry->creation, 0);
    struct channel_reading reading;
    entry->read(entry, &reading);
    assert_int_equal(reading.length, 0);
    assert_int_equal(reading.capacity, 8);
    assert_false(reading.closed);
    assert_int_equal(reading.last_operation, CHANNEL_NEVER);
    assert_int_equal(reading.last_task, 0);

    uint64_t before = clock_coarse_ns();
    assert_int_equal(taskprof_chan_send(channel, &(int){1}), 0);
    entry->read(entry, &reading);
    assert_int_equal(reading.length, 1);
    assert_int_equal(reading.last_operation, CHANNEL_SENT);
    assert_int_equal(reading.last_task, taskprof_task_id(taskprof_task_self()));
    assert_true(reading.last_ns >= before);
    assert_true(reading.last_ns <= clock_monotonic_ns());

    assert_int_equal(taskprof_chan_receive(channel, NULL, NULL), 0);
    entry->read(entry, &reading);
    assert_int_equal(reading.last_operation, CHANNEL_RECEIVED);
    assert_int_equal(taskprof_chan_close(channel), 0);
    entry->read(entry, &reading);
    assert_true(reading.closed);
    assert_int_equal(reading.last_operation, CHANNEL_CLOSED);
    assert_int_not_equal(reading.closed_stack, 0);

    version = channel_version();
    assert_int_equal(taskprof_chan_free(channel), 0);
    assert_int_not_equal(channel_version(), version);
    assert_null(entry_of(channel));
}

static uint64_t last_ns_of(taskprof_chan *channel)
{
    struct channel_reading reading;
    struct channel *entry = entry_of(channel);
    entry->read(entry, &reading);
    return reading.last_ns;
}

static void the_last_operation_of_a_slow_channel_has_its_own_time(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int), 8);
    assert_int_equal(taskprof_chan_send(channel, &(int){0}), 0);
    for (int i = 0; i < 2; i++) {
        uint64_t second = clock_second();
        eventually(clock_second() != second);
        uint64_t before = clock_coarse_ns();
        assert_int_equal(taskprof_chan_send(channel, &(int){1}), 0);
        assert_true(last_ns_of(channel) >= before);
    }
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void the_last_operation_of_a_fast_channel_has_the_time_of_a_few_before_it(void **state)
{
    (void)state;
    enum { FEW = 16 };
    taskprof_chan *channel = make_chan(sizeof(int), 4 * FEW);
    uint64_t begun[4 * FEW];
    for (int i = 0; i < 4 * FEW; i++) {
        uint64_t tick = clock_coarse_ns();
        eventually(clock_coarse_ns() != tick);
        begun[i] = clock_coarse_ns();
        assert_int_equal(taskprof_chan_send(channel, &(int){1}), 0);
        assert_true(last_ns_of(channel) >= begun[i < FEW ? 0 : i - FEW]);
    }
    for (int i = 0; i < 4 * FEW; i++) {
        uint64_t tick = clock_coarse_ns();
        eventually(clock_coarse_ns() != tick);
        begun[i] = clock_coarse_ns();
        assert_int_equal(taskprof_chan_receive(channel, NULL, NULL), 0);
        assert_true(last_ns_of(channel) >= begun[i < FEW ? 0 : i - FEW]);
    }
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void channels_of_one_name_or_one_place_are_one_class(void **state)
{
    (void)state;
    taskprof_chan *named[2];
    taskprof_chan *unnamed[3];
    assert_int_equal(taskprof_chan_make(1, 1, "jobs", &named[0]), 0);
    assert_int_equal(taskprof_chan_make(1, 1, "jobs", &named[1]), 0);
    // The compiler can't tell how often, and does not unroll the loop into two places.
    volatile int count = 2;
    for (int i = 0; i < count; i++)
        assert_int_equal(taskprof_chan_make(1, 1, NULL, &unnamed[i]), 0);
    assert_int_equal(taskprof_chan_make(1, 1, "", &unnamed[2]), 0);
    uint32_t jobs = entry_of(named[0])->class_id;
    assert_int_equal(entry_of(named[1])->class_id, jobs);
    assert_string_equal(channel_class_get(jobs)->name, "jobs");
    assert_int_equal(channel_class_get(jobs)->creation, 0);
    uint32_t place = entry_of(unnamed[0])->class_id;
    assert_int_equal(entry_of(unnamed[1])->class_id, place);
    assert_string_equal(channel_class_get(place)->name, "");
    assert_int_equal(channel_class_get(place)->creation, entry_of(unnamed[0])->creation);
    assert_int_not_equal(entry_of(unnamed[2])->class_id, place);
    assert_int_not_equal(place, jobs);
    assert_null(channel_class_get(0));
    assert_null(channel_class_get(UINT32_MAX));
    for (int i = 0; i < 2; i++)
        assert_int_equal(taskprof_chan_free(named[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(taskprof_chan_free(unnamed[i]), 0);
}

static void a_long_name_is_cut_between_characters(void **state)
{
    (void)state;
    taskprof_chan *channel;
    assert_int_equal(taskprof_chan_make(1, 1, "0123456789012345678901234567890", &channel), 0);
    assert_string_equal(entry_of(channel)->name, "0123456789012345678901234567890");
    assert_int_equal(taskprof_chan_free(channel), 0);
    assert_int_equal(taskprof_chan_make(1, 1, "01234567890123456789012345678901", &channel), 0);
    assert_string_equal(entry_of(channel)->name, "0123456789012345678901234567890");
    assert_int_equal(taskprof_chan_free(channel), 0);
    // The last character's first byte is the 31st, its second would be the 32nd.
    assert_int_equal(taskprof_chan_make(1, 1, "012345678901234567890123456789\xc3\xa9", &channel),
                     0);
    assert_string_equal(entry_of(channel)->name, "012345678901234567890123456789");
    assert_int_equal(taskprof_chan_free(channel), 0);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_shows_what_a_channel_looks_like),
        cmocka_unit_test(the_last_operation_of_a_slow_channel_has_its_own_time),
        cmocka_unit_test(the_last_operation_of_a_fast_channel_has_the_time_of_a_few_before_it),
        cmocka_unit_test(channels_of_one_name_or_one_place_are_one_class),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
