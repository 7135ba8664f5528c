// The channel and threadcreate profiles.

#include "tests/unit/pprof_fixture.h"

static Profile *channels(struct snapshot_channel *list, size_t count)
{
    struct snapshot snapshot = fake_snapshot(NULL, 0);
    snapshot.channels = list;
    snapshot.channel_count = count;
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_channel(&snapshot, &stream), 0);
    return decoded(stream);
}

static void a_channel_is_a_sample_with_its_numbers_under_its_creation_stack(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"start_orders", "/src/orders.c", 120, 1});
    struct snapshot_channel channel = {
        .creation = STACK(MAIN_START + 0x11),
        .reading = {.length = 3, .capacity = 8},
        .senders = 4,
        .receivers = 5,
        .wait_sum_ns = 6000000000,
        .name = "orders",
    };
    Profile *profile = channels(&channel, 1);
    const char *expected[] = {"len", "cap", "senders", "receivers", "wait"};
    const int64_t values[] = {3, 8, 4, 5, 6000000000};
    assert_int_equal(profile->n_sample_type, 5);
    assert_int_equal(profile->n_sample, 1);
    const Sample *sample = profile->sample[0];
    assert_int_equal(sample->n_value, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(text(profile, profile->sample_type[i]->type), expected[i]);
        assert_string_equal(text(profile, profile->sample_type[i]->unit),
                            i < 4 ? "count" : "nanoseconds");
        assert_int_equal(sample->value[i], values[i]);
    }
    assert_string_equal(text(profile, profile->default_sample_type), "wait");
    assert_string_equal(text(profile, profile->period_type->type), "channel");
    assert_string_equal(function(profile, sample, 0, 0), "start_orders");
    assert_label(profile, sample, "channel", "orders");
    assert_label(profile, sample, "closed", "false");
    free_profile(profile);
}

static void an_unnamed_channel_goes_by_where_it_was_made(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"start_orders", "/src/orders.c", 120, 1});
    stack_id creation = STACK(MAIN_START + 0x11);
    struct snapshot_channel two[] = {{.creation = creation}, {.creation = creation}};
    Profile *profile = channels(two, 2);
    // One sample a channel, even where nothing tells them apart.
    assert_int_equal(profile->n_sample, 2);
    assert_label(profile, profile->sample[0], "channel", "orders.c:120");
    assert_label(profile, profile->sample[1], "channel", "orders.c:120");
    free_profile(profile);
}

static void what_is_unknown_counts_as_0_and_says_so(void **state)
{
    (void)state;
    struct snapshot_channel list[] = {
        {.name = "a", .reading = {.length = 2, .capacity = TASKPROF_UNKNOWN}},
        {.name = "b", .reading = {.length = TASKPROF_UNKNOWN, .capacity = 0, .closed = true}},
    };
    Profile *profile = channels(list, 2);
    assert_int_equal(profile->sample[0]->value[1], 0);
    assert_label(profile, profile->sample[0], "cap", "unknown");
    assert_label(profile, profile->sample[0], "len", NULL);
    assert_int_equal(profile->sample[1]->value[0], 0);
    assert_label(profile, profile->sample[1], "len", "unknown");
    assert_label(profile, profile->sample[1], "cap", NULL);
    assert_label(profile, profile->sample[1], "closed", "true");
    free_profile(profile);
}

static void threads_are_counted_by_creation_stack_and_coroutines_are_not(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"start_pool", "/src/pool.c", 10, 1});
    SYMBOL(MAIN_START + 0x22, {"start_timer", "/src/timer.c", 20, 1});
    stack_id pool = STACK(MAIN_START + 0x11);
    stack_id timer = STACK(MAIN_START + 0x22);
    struct snapshot_group groups[] = {
        {.creation = pool, .stack = timer, .count = 10, .threads = 4},
        {.creation = timer, .count = 1, .threads = 1},
        {.creation = pool, .count = 3, .threads = 3},
        {.creation = 0, .count = 1, .threads = 1},
        {.creation = STACK(MAIN_START + 0x33), .count = 9, .threads = 0},
    };
    struct snapshot snapshot = fake_snapshot(groups, 5);
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_threadcreate(&snapshot, &stream), 0);
    Profile *profile = decoded(stream);
    assert_int_equal(profile->n_sample_type, 1);
    assert_string_equal(text(profile, profile->sample_type[0]->type), "threadcreate");
    assert_string_equal(text(profile, profile->period_type->type), "threadcreate");
    assert_int_equal(profile->n_sample, 3);
    assert_string_equal(function(profile, profile->sample[0], 0, 0), "start_pool");
    assert_int_equal(profile->sample[0]->value[0], 7);
    assert_string_equal(function(profile, profile->sample[1], 0, 0), "start_timer");
    assert_int_equal(profile->sample[1]->value[0], 1);
    assert_string_equal(function(profile, profile->sample[2], 0, 0), "[stack unknown]");
    assert_int_equal(profile->sample[2]->value[0], 1);
    free_profile(profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_channel_is_a_sample_with_its_numbers_under_its_creation_stack,
                               fresh_world),
        cmocka_unit_test_setup(an_unnamed_channel_goes_by_where_it_was_made, fresh_world),
        cmocka_unit_test_setup(what_is_unknown_counts_as_0_and_says_so, fresh_world),
        cmocka_unit_test_setup(threads_are_counted_by_creation_stack_and_coroutines_are_not,
                               fresh_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
