// Under every mix of operations an element is received exactly once, or its sender is told that it
// was not sent.

#include "profiler/channels/channel.h"
#include "tests/unit/chan_helpers.h"

#include <errno.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { PER_SENDER = 10000 };
#else
enum { PER_SENDER = 50000 };
#endif

enum { SENDERS = 4, RECEIVERS = 4, CHANNELS = 3, ELEMENTS = SENDERS * PER_SENDER };

static taskprof_chan *channels[CHANNELS];
static _Atomic unsigned char received[ELEMENTS];
static _Atomic unsigned char sent[ELEMENTS];
static _Atomic uint64_t failures;

static void check(bool holds)
{
    if (!holds)
        atomic_fetch_add(&failures, 1);
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

// One attempt in one of the ways that there are: 0, -EPIPE, or an error that says try again.
static int send_somehow(uint64_t *random, int64_t value)
{
    taskprof_chan *channel = channels[next_random(random) % CHANNELS];
    int64_t span = (int64_t)(next_random(random) % 20000);
    switch (next_random(random) % 5) {
    case 0:
        return taskprof_chan_send(channel, &value);
    case 1:
        return taskprof_chan_try_send(channel, &value);
    case 2:
        return taskprof_chan_timed_send(channel, &value, span);
    default: {
        int64_t copies[CHANNELS];
        struct taskprof_case cases[CHANNELS];
        for (unsigned i = 0; i < CHANNELS; i++) {
            copies[i] = value;
            cases[i] =
                (struct taskprof_case){.channel = channels[i], .element = &copies[i], .send = true};
        }
        unsigned chosen;
        return taskprof_select(cases, CHANNELS, span % 2 ? TASKPROF_FOREVER : span, &chosen);
    }
    }
}

static void *send_all(void *argument)
{
    uint64_t number = (uintptr_t)argument;
    uint64_t random = number;
    for (int64_t i = 0; i < PER_SENDER; i++) {
        int64_t value = (int64_t)number * PER_SENDER + i;
        int result;
        do {
            result = send_somehow(&random, value);
        } while (result == -EAGAIN || result == -ETIMEDOUT);
        check(result == 0 || result == -EPIPE);
        if (result == -EPIPE)
            break;
        atomic_fetch_add(&sent[value], 1);
    }
    return NULL;
}

static void take(int64_t value)
{
    check(value >= 0 && value < ELEMENTS);
    if (value >= 0 && value < ELEMENTS)
        atomic_fetch_add(&received[value], 1);
}

// Whether the channel at `at` turned out to be closed and drained.
static bool receive_somehow(uint64_t *random, bool over[CHANNELS])
{
    unsigned at = next_random(random) % CHANNELS;
    int64_t span = (int64_t)(next_random(random) % 20000);
    int64_t value = -1;
    bool ok = false;
    int result;
    switch (next_random(random) % 4) {
    case 0:
        result = taskprof_chan_try_receive(channels[at], &value, &ok);
        break;
    case 1:
        result = taskprof_chan_timed_receive(channels[at], &value, &ok, span);
        break;
    default: {
        struct taskprof_case cases[CHANNELS];
        for (unsigned i = 0; i < CHANNELS; i++)
            cases[i] =
                (struct taskprof_case){.channel = over[i] ? NULL : channels[i], .element = &value};
        unsigned chosen = 0;
        result = taskprof_select(cases, CHANNELS, span % 2 ? TASKPROF_FOREVER : span, &chosen);
        at = chosen;
        ok = cases[chosen].ok;
    }
    }
    if (result != 0) {
        check(result == -EAGAIN || result == -ETIMEDOUT);
        return false;
    }
    if (ok)
        take(value);
    else
        over[at] = true;
    return over[0] && over[1] && over[2];
}

static void *receive_all(void *argument)
{
    uint64_t random = 1000 + (uintptr_t)argument;
    bool over[CHANNELS] = {false};
    while (!receive_somehow(&random, over)) {
    }
    return NULL;
}

static _Atomic bool stop_looking;

// A collector: looks at every channel, all the time, without a lock.
static void *look(void *argument)
{
    uint64_t *looks = argument;
    while (!atomic_load(&stop_looking)) {
        for (uint32_t i = 0; i < slab_high(&channel_slab); i++) {
            struct channel *channel = slab_at(&channel_slab, i);
            if (!channel_pin(channel))
                continue;
            struct channel_reading reading;
            channel->read(channel, &reading);
            check(reading.length >= 0 && reading.length <= reading.capacity);
            channel_unpin(channel);
            ++*looks;
        }
    }
    return NULL;
}

static void start_all(pthread_t *threads, unsigned count, void *(*main)(void *))
{
    for (uintptr_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, main, (void *)i), 0);
}

static void join_all(pthread_t *threads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void set_up_channels(void)
{
    static const size_t capacities[CHANNELS] = {0, 1, 16};
    for (int i = 0; i < CHANNELS; i++)
        channels[i] = make_chan(sizeof(int64_t), capacities[i]);
    for (int i = 0; i < ELEMENTS; i++) {
        atomic_store(&received[i], 0);
        atomic_store(&sent[i], 0);
    }
}

static uint64_t count_sent_and_check_each_once(void)
{
    uint64_t total = 0;
    for (int i = 0; i < ELEMENTS; i++) {
        assert_true(atomic_load(&sent[i]) <= 1);
        assert_int_equal(atomic_load(&received[i]), atomic_load(&sent[i]));
        total += atomic_load(&sent[i]);
    }
    for (int i = 0; i < CHANNELS; i++)
        assert_int_equal(taskprof_chan_free(channels[i]), 0);
    assert_int_equal(atomic_load(&failures), 0);
    return total;
}

static void every_element_arrives_once_whatever_the_mix(void **state)
{
    (void)state;
    set_up_channels();
    uint64_t looks = 0;
    pthread_t looking;
    pthread_t sending[SENDERS];
    pthread_t receiving[RECEIVERS];
    assert_int_equal(pthread_create(&looking, NULL, look, &looks), 0);
    start_all(receiving, RECEIVERS, receive_all);
    start_all(sending, SENDERS, send_all);
    join_all(sending, SENDERS);
    for (int i = 0; i < CHANNELS; i++)
        assert_int_equal(taskprof_chan_close(channels[i]), 0);
    join_all(receiving, RECEIVERS);
    atomic_store(&stop_looking, true);
    join_all(&looking, 1);
    assert_true(looks > 0);
    assert_int_equal(count_sent_and_check_each_once(), ELEMENTS);
}

static void a_close_in_the_midst_loses_nothing_that_was_sent(void **state)
{
    (void)state;
    for (size_t round = 0; round < 20; round++) {
        set_up_channels();
        pthread_t sending[SENDERS];
        pthread_t receiving[RECEIVERS];
        start_all(receiving, RECEIVERS, receive_all);
        start_all(sending, SENDERS, send_all);
        // Once the first sender has got so far, whatever the others do.
        eventually(atomic_load(&sent[round * 10]) > 0);
        for (int i = 0; i < CHANNELS; i++)
            assert_int_equal(taskprof_chan_close(channels[i]), 0);
        join_all(sending, SENDERS);
        join_all(receiving, RECEIVERS);
        assert_true(count_sent_and_check_each_once() > 0);
    }
}

enum { EXCHANGES = PER_SENDER / 2 };

static _Atomic uint64_t exchanged_out;
static _Atomic uint64_t exchanged_in;
static _Atomic uint64_t exchange_sum;
static _Atomic bool stop_exchange;

// Sends and receives on the same two channels at once, against others that do the same.
static void *exchange(void *argument)
{
    int64_t number = (int64_t)(uintptr_t)argument;
    for (int64_t i = 0; !atomic_load(&stop_exchange); i++) {
        int64_t out[2] = {number + i, number + i};
        int64_t in[2] = {0, 0};
        struct taskprof_case cases[4];
        for (size_t c = 0; c < 2; c++) {
            // Each thread names them in another order.
            taskprof_chan *channel = channels[((size_t)number + c) % 2];
            cases[2 * c] =
                (struct taskprof_case){.channel = channel, .element = &out[c], .send = true};
            cases[2 * c + 1] = (struct taskprof_case){.channel = channel, .element = &in[c]};
        }
        unsigned chosen;
        int result = taskprof_select(cases, 4, 1000000, &chosen);
        check(result == 0 || result == -ETIMEDOUT);
        if (result != 0)
            continue;
        if (chosen % 2 == 0) {
            atomic_fetch_add(&exchange_sum, (uint64_t)out[chosen / 2]);
            if (atomic_fetch_add(&exchanged_out, 1) >= EXCHANGES)
                atomic_store(&stop_exchange, true);
        } else {
            check(cases[chosen].ok);
            atomic_fetch_sub(&exchange_sum, (uint64_t)in[chosen / 2]);
            atomic_fetch_add(&exchanged_in, 1);
        }
    }
    return NULL;
}

static void selects_that_send_and_receive_meet_each_other_exactly(void **state)
{
    (void)state;
    channels[0] = make_chan(sizeof(int64_t), 0);
    channels[1] = make_chan(sizeof(int64_t), 0);
    pthread_t threads[4];
    start_all(threads, 4, exchange);
    join_all(threads, 4);
    assert_true(atomic_load(&exchanged_out) > EXCHANGES);
    assert_int_equal(atomic_load(&exchanged_in), atomic_load(&exchanged_out));
    assert_int_equal(atomic_load(&exchange_sum), 0);
    assert_int_equal(atomic_load(&failures), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(taskprof_chan_free(channels[i]), 0);
}

static _Atomic uint64_t timed_out_sends;
static _Atomic uint64_t timed_out_receives;

static void *race_sends(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    uint64_t done = 0;
    for (int64_t i = 0; i < PER_SENDER; i++) {
        // About as long as a hand-off takes, so that both ends come at once.
        int result =
            taskprof_chan_timed_send(channels[0], &i, 1 + (int64_t)(next_random(&random) % 5000));
        check(result == 0 || result == -ETIMEDOUT);
        done += result == 0;
        atomic_fetch_add(&timed_out_sends, result != 0);
    }
    return (void *)(uintptr_t)done;
}

static void *race_receives(void *argument)
{
    uint64_t random = 77 + (uintptr_t)argument;
    uint64_t done = 0;
    while (!atomic_load(&stop_looking)) {
        int64_t value = -1;
        bool ok = false;
        int result = taskprof_chan_timed_receive(channels[0], &value, &ok,
                                                 1 + (int64_t)(next_random(&random) % 5000));
        check(result == -ETIMEDOUT ? value == -1 : result == 0 && ok && value >= 0);
        done += result == 0;
        atomic_fetch_add(&timed_out_receives, result != 0);
    }
    return (void *)(uintptr_t)done;
}

static void a_timeout_and_a_hand_off_never_both_happen(void **state)
{
    (void)state;
    channels[0] = make_chan(sizeof(int64_t), 0);
    atomic_store(&stop_looking, false);
    pthread_t sending[2];
    pthread_t receiving[2];
    start_all(receiving, 2, race_receives);
    start_all(sending, 2, race_sends);
    uint64_t sends = 0;
    uint64_t receives = 0;
    void *count;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(sending[i], &count), 0);
        sends += (uintptr_t)count;
    }
    atomic_store(&stop_looking, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(receiving[i], &count), 0);
        receives += (uintptr_t)count;
    }
    assert_int_equal(sends, receives);
    assert_int_equal(sends + atomic_load(&timed_out_sends), 2 * PER_SENDER);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(taskprof_chan_free(channels[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_arrives_once_whatever_the_mix),
        cmocka_unit_test(a_close_in_the_midst_loses_nothing_that_was_sent),
        cmocka_unit_test(selects_that_send_and_receive_meet_each_other_exactly),
        cmocka_unit_test(a_timeout_and_a_hand_off_never_both_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
