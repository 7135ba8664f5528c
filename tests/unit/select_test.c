// Select carries out exactly one case, any of those that can go on, and leaves nothing behind.

#include "tests/unit/chan_helpers.h"

#include <errno.h>
#include <string.h>

static struct taskprof_case receive_case(taskprof_chan *channel, int64_t *into)
{
    return (struct taskprof_case){.channel = channel, .element = into};
}

static struct taskprof_case send_case(taskprof_chan *channel, int64_t *from)
{
    return (struct taskprof_case){.channel = channel, .element = from, .send = true};
}

static void the_default_is_taken_when_nothing_is_ready(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    int64_t value = 0;
    struct taskprof_case cases[] = {receive_case(channel, &value), send_case(channel, &value),
                                    receive_case(NULL, &value), send_case(NULL, &value)};
    unsigned chosen = 77;
    assert_int_equal(taskprof_select(cases, 4, TASKPROF_DEFAULT, &chosen), -EAGAIN);
    assert_int_equal(taskprof_select(cases + 2, 2, TASKPROF_DEFAULT, &chosen), -EAGAIN);
    assert_int_equal(taskprof_select(NULL, 0, TASKPROF_DEFAULT, &chosen), -EAGAIN);
    assert_int_equal(taskprof_select(cases, 4, 1000, &chosen), -ETIMEDOUT);
    assert_int_equal(taskprof_select(cases + 2, 2, 1000, &chosen), -ETIMEDOUT);
    assert_int_equal(taskprof_select(NULL, 0, 1000, &chosen), -ETIMEDOUT);
    assert_int_equal(chosen, 77);
    // Nobody stands in a queue any more.
    assert_int_equal(taskprof_chan_try_send(channel, &value), -EAGAIN);
    assert_int_equal(taskprof_chan_try_receive(channel, &value, NULL), -EAGAIN);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void the_one_ready_case_is_carried_out(void **state)
{
    (void)state;
    taskprof_chan *empty = make_chan(sizeof(int64_t), 1);
    taskprof_chan *full = make_chan(sizeof(int64_t), 1);
    taskprof_chan *closed = make_chan(sizeof(int64_t), 1);
    int64_t five = 5;
    int64_t got = -1;
    assert_int_equal(taskprof_chan_send(full, &five), 0);
    assert_int_equal(taskprof_chan_close(closed), 0);
    unsigned chosen;

    struct taskprof_case receiving[] = {receive_case(empty, &got), receive_case(full, &got),
                                        send_case(full, &five)};
    assert_int_equal(taskprof_select(receiving, 3, TASKPROF_FOREVER, &chosen), 0);
    assert_int_equal(chosen, 1);
    assert_int_equal(got, 5);
    assert_true(receiving[1].ok);

    struct taskprof_case sending[] = {receive_case(empty, &got), send_case(full, &five)};
    assert_int_equal(taskprof_select(sending, 2, TASKPROF_DEFAULT, &chosen), 0);
    assert_int_equal(chosen, 1);
    assert_int_equal(taskprof_chan_length(full), 1);

    struct taskprof_case over[] = {receive_case(empty, &got), receive_case(closed, &got)};
    over[1].ok = true;
    assert_int_equal(taskprof_select(over, 2, TASKPROF_DEFAULT, &chosen), 0);
    assert_int_equal(chosen, 1);
    assert_int_equal(got, 0);
    assert_false(over[1].ok);

    struct taskprof_case late[] = {receive_case(empty, &got), send_case(closed, &five)};
    chosen = 0;
    assert_int_equal(taskprof_select(late, 2, TASKPROF_DEFAULT, &chosen), -EPIPE);
    assert_int_equal(chosen, 1);

    assert_int_equal(taskprof_chan_free(empty), 0);
    assert_int_equal(taskprof_chan_free(full), 0);
    assert_int_equal(taskprof_chan_free(closed), 0);
}

static void each_ready_case_is_as_likely_as_the_others(void **state)
{
    (void)state;
    enum { CASES = 5, ROUNDS = 50000 };
    taskprof_chan *channels[CASES];
    struct taskprof_case cases[CASES + 1];
    int64_t value = 1;
    for (int i = 0; i < CASES; i++) {
        channels[i] = make_chan(sizeof(int64_t), 1);
        assert_int_equal(taskprof_chan_send(channels[i], &value), 0);
        cases[i] = receive_case(channels[i], NULL);
    }
    cases[CASES] = send_case(channels[0], &value); // never ready
    unsigned hits[CASES] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        unsigned chosen;
        assert_int_equal(taskprof_select(cases, CASES + 1, TASKPROF_FOREVER, &chosen), 0);
        assert_true(chosen < CASES);
        hits[chosen]++;
        assert_int_equal(taskprof_chan_send(channels[chosen], &value), 0);
    }
    double expected = (double)ROUNDS / CASES;
    double chi_square = 0;
    for (int i = 0; i < CASES; i++)
        chi_square += (hits[i] - expected) * (hits[i] - expected) / expected;
    // 4 degrees of freedom: beyond 40 once in 20 million runs.
    assert_true(chi_square < 40);
    // Not a fixed rotation either, which would hit every case equally often.
    assert_true(chi_square > 0);
    for (int i = 0; i < CASES; i++)
        assert_int_equal(taskprof_chan_free(channels[i]), 0);
}

static void a_blocked_select_is_woken_by_any_of_its_channels(void **state)
{
    (void)state;
    enum { CHANNELS = 4, LAST = 2 * CHANNELS };
    for (unsigned woken_by = 0; woken_by < 2 * CHANNELS; woken_by++) {
        taskprof_chan *channels[CHANNELS];
        struct taskprof_case cases[LAST + 1];
        int64_t sent[CHANNELS];
        int64_t got[CHANNELS];
        for (size_t i = 0; i < CHANNELS; i++) {
            channels[i] = make_chan(sizeof(int64_t), 0);
            sent[i] = 100 + (int64_t)i;
            got[i] = -1;
            cases[2 * i] = receive_case(channels[i], &got[i]);
            cases[2 * i + 1] = send_case(channels[i], &sent[i]);
        }
        cases[LAST] = receive_case(NULL, NULL);
        struct actor actor = {.act = act_select,
                              .cases = cases,
                              .case_count = LAST + 1,
                              .timeout_ns = TASKPROF_FOREVER};
        actor_start_blocked(&actor, TASKPROF_SELECT);
        taskprof_chan *channel = channels[woken_by / 2];
        int64_t value = 7;
        if (woken_by % 2) {
            assert_int_equal(taskprof_chan_try_receive(channel, &value, NULL), 0);
            assert_int_equal(value, 100 + woken_by / 2);
        } else {
            assert_int_equal(taskprof_chan_try_send(channel, &value), 0);
        }
        // It was served; none of the other channels may take it for waiting any more.
        for (size_t i = 0; i < CHANNELS; i++) {
            assert_int_equal(taskprof_chan_try_send(channels[i], &value), -EAGAIN);
            assert_int_equal(taskprof_chan_try_receive(channels[i], &value, NULL), -EAGAIN);
            assert_int_equal(taskprof_chan_free(channels[i]), 0);
        }
        actor_join(&actor);
        assert_int_equal(actor.result, 0);
        assert_int_equal(actor.chosen, woken_by);
        for (size_t i = 0; i < CHANNELS; i++)
            assert_int_equal(got[i], 2 * i == woken_by ? 7 : -1);
        if (woken_by % 2 == 0)
            assert_true(cases[woken_by].ok);
    }
}

static void a_blocked_select_is_woken_by_a_close(void **state)
{
    (void)state;
    for (int send = 0; send < 2; send++) {
        taskprof_chan *other = make_chan(sizeof(int64_t), 0);
        taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
        int64_t value = 9;
        struct taskprof_case cases[] = {receive_case(other, NULL),
                                        send ? send_case(channel, &value)
                                             : receive_case(channel, &value)};
        struct actor actor = {
            .act = act_select, .cases = cases, .case_count = 2, .timeout_ns = TASKPROF_FOREVER};
        actor_start_blocked(&actor, TASKPROF_SELECT);
        assert_int_equal(taskprof_chan_close(channel), 0);
        actor_join(&actor);
        assert_int_equal(actor.result, send ? -EPIPE : 0);
        assert_int_equal(actor.chosen, 1);
        assert_int_equal(value, send ? 9 : 0);
        assert_false(cases[1].ok);
        assert_int_equal(taskprof_chan_free(other), 0);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

static void one_channel_may_stand_in_several_cases(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    int64_t got[3] = {-1, -1, -1};
    struct taskprof_case cases[] = {receive_case(channel, &got[0]), receive_case(channel, &got[1]),
                                    receive_case(channel, &got[2])};
    struct actor actor = {
        .act = act_select, .cases = cases, .case_count = 3, .timeout_ns = TASKPROF_FOREVER};
    actor_start_blocked(&actor, TASKPROF_SELECT);
    assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){4}), 0);
    assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){5}), -EAGAIN);
    actor_join(&actor);
    assert_true(actor.chosen < 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(got[i], i == actor.chosen ? 4 : -1);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_select_does_not_meet_itself_but_meets_another(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    int64_t out[2] = {10, 11};
    int64_t in[2] = {-1, -1};
    struct taskprof_case cases[2][2];
    struct actor actors[2];
    for (int i = 0; i < 2; i++) {
        cases[i][0] = send_case(channel, &out[i]);
        cases[i][1] = receive_case(channel, &in[i]);
        actors[i] = (struct actor){
            .act = act_select, .cases = cases[i], .case_count = 2, .timeout_ns = TASKPROF_FOREVER};
    }
    actor_start_blocked(&actors[0], TASKPROF_SELECT);
    assert_false(atomic_load(&actors[0].done));
    actor_start(&actors[1]);
    actor_join(&actors[0]);
    actor_join(&actors[1]);
    assert_int_equal(actors[0].chosen + actors[1].chosen, 1);
    int receiver = actors[0].chosen == 1 ? 0 : 1;
    assert_int_equal(in[receiver], out[1 - receiver]);
    assert_int_equal(in[1 - receiver], -1);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_blocked_select_shows_what_it_waits_on(void **state)
{
    (void)state;
    taskprof_chan *channels[] = {make_chan(8, 0), make_chan(8, 0)};
    int64_t value = 1;
    struct taskprof_case cases[] = {receive_case(channels[0], NULL), receive_case(NULL, NULL),
                                    send_case(channels[1], &value)};
    struct actor actor = {
        .act = act_select, .cases = cases, .case_count = 3, .timeout_ns = TASKPROF_FOREVER};
    actor_start_blocked(&actor, TASKPROF_SELECT);
    struct park_record record;
    assert_true(park_read(actor.task, &record));
    assert_int_equal(record.waits, 2);
    const struct taskprof_wait *waits = (const struct taskprof_wait *)record.object;
    assert_ptr_equal(waits[0].object, channels[0]);
    assert_int_equal(waits[0].reason, TASKPROF_CHAN_RECEIVE);
    assert_ptr_equal(waits[1].object, channels[1]);
    assert_int_equal(waits[1].reason, TASKPROF_CHAN_SEND);
    assert_int_equal(taskprof_chan_close(channels[0]), 0);
    actor_join(&actor);
    for (int i = 0; i < 2; i++)
        assert_int_equal(taskprof_chan_free(channels[i]), 0);
}

static void a_select_without_cases_blocks_and_says_so(void **state)
{
    (void)state;
    // It never ends; the process ends it.
    static struct actor actor = {.act = act_select, .timeout_ns = TASKPROF_FOREVER};
    actor_start_blocked(&actor, TASKPROF_SELECT_NO_CASES);
    assert_false(atomic_load(&actor.done));
}

static void bad_selects_are_refused(void **state)
{
    (void)state;
    struct taskprof_case cases[TASKPROF_SELECT_MAX + 1];
    memset(cases, 0, sizeof(cases));
    unsigned chosen;
    assert_int_equal(taskprof_select(cases, TASKPROF_SELECT_MAX + 1, TASKPROF_DEFAULT, &chosen),
                     -EINVAL);
    assert_int_equal(taskprof_select(NULL, 1, TASKPROF_DEFAULT, &chosen), -EINVAL);
    assert_int_equal(taskprof_select(cases, TASKPROF_SELECT_MAX, TASKPROF_DEFAULT, &chosen),
                     -EAGAIN);
    taskprof_chan *channel = make_chan(8, 0);
    cases[3] = send_case(channel, NULL);
    assert_int_equal(taskprof_select(cases, 4, 1000, &chosen), -EINVAL);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void the_largest_select_works(void **state)
{
    (void)state;
    taskprof_chan *channels[TASKPROF_SELECT_MAX];
    struct taskprof_case cases[TASKPROF_SELECT_MAX];
    int64_t got = -1;
    for (int i = 0; i < TASKPROF_SELECT_MAX; i++)
        channels[i] = make_chan(8, 1);
    // Not in the order of their addresses.
    for (int i = 0; i < TASKPROF_SELECT_MAX; i++)
        cases[i] = receive_case(channels[i * 37 % TASKPROF_SELECT_MAX], &got);
    for (unsigned i = 0; i < TASKPROF_SELECT_MAX; i++) {
        struct actor actor = {.act = act_select,
                              .cases = cases,
                              .case_count = TASKPROF_SELECT_MAX,
                              .timeout_ns = TASKPROF_FOREVER};
        actor_start_blocked(&actor, TASKPROF_SELECT);
        assert_int_equal(taskprof_chan_send(cases[i].channel, &(int64_t){i}), 0);
        actor_join(&actor);
        assert_int_equal(actor.chosen, i);
        assert_int_equal(got, i);
    }
    for (int i = 0; i < TASKPROF_SELECT_MAX; i++)
        assert_int_equal(taskprof_chan_free(channels[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_taken_when_nothing_is_ready),
        cmocka_unit_test(the_one_ready_case_is_carried_out),
        cmocka_unit_test(each_ready_case_is_as_likely_as_the_others),
        cmocka_unit_test(a_blocked_select_is_woken_by_any_of_its_channels),
        cmocka_unit_test(a_blocked_select_is_woken_by_a_close),
        cmocka_unit_test(one_channel_may_stand_in_several_cases),
        cmocka_unit_test(a_select_does_not_meet_itself_but_meets_another),
        cmocka_unit_test(a_blocked_select_shows_what_it_waits_on),
        cmocka_unit_test(a_select_without_cases_blocks_and_says_so),
        cmocka_unit_test(bad_selects_are_refused),
        cmocka_unit_test(the_largest_select_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
