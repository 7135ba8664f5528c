// Channels keep the promises of Go's specification, one by one.

#include "tests/unit/chan_helpers.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_buffered_channel_gives_back_what_was_sent_in_order(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int), 3);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(taskprof_chan_send(channel, &(int){10 * round + i}), 0);
        assert_int_equal(taskprof_chan_length(channel), 3);
        for (int i = 0; i < 3; i++) {
            int got = -1;
            bool ok = false;
            assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
            assert_int_equal(got, 10 * round + i);
            assert_true(ok);
        }
    }
    assert_int_equal(taskprof_chan_length(channel), 0);
    assert_int_equal(taskprof_chan_capacity(channel), 3);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void elements_of_any_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 4, 8, 16, 100, 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char sent[4096];
        unsigned char got[4096 + 1];
        for (size_t b = 0; b < sizeof(sent); b++)
            sent[b] = (unsigned char)(b * 7 + i);
        memset(got, 0xaa, sizeof(got));
        taskprof_chan *channel = make_chan(sizes[i], 2);
        assert_int_equal(taskprof_chan_send(channel, sizes[i] ? sent : NULL), 0);
        assert_int_equal(taskprof_chan_receive(channel, got, NULL), 0);
        assert_memory_equal(got, sent, sizes[i]);
        assert_int_equal(got[sizes[i]], 0xaa);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

static void an_unbuffered_send_waits_for_its_receiver(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct actor sender = {.act = act_send, .channel = channel, .value = 42};
    actor_start_blocked(&sender, TASKPROF_CHAN_SEND);
    assert_false(atomic_load(&sender.done));
    assert_int_equal(taskprof_chan_length(channel), 0);
    int64_t got = 0;
    bool ok = false;
    assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
    assert_int_equal(got, 42);
    assert_true(ok);
    actor_join(&sender);
    assert_int_equal(sender.result, 0);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_send_goes_straight_to_a_waiting_receiver(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 2; capacity++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), capacity);
        struct actor receiver = {.act = act_receive, .channel = channel};
        actor_start_blocked(&receiver, TASKPROF_CHAN_RECEIVE);
        assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){7}), 0);
        assert_int_equal(taskprof_chan_length(channel), 0);
        actor_join(&receiver);
        assert_int_equal(receiver.value, 7);
        assert_true(receiver.ok);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

enum { QUEUED = 5 };

static void waiting_receivers_are_served_first_come_first_served(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 4);
    struct actor receivers[QUEUED];
    for (int i = 0; i < QUEUED; i++) {
        receivers[i] = (struct actor){.act = act_receive, .channel = channel};
        actor_start_blocked(&receivers[i], TASKPROF_CHAN_RECEIVE);
    }
    for (int64_t i = 0; i < QUEUED; i++)
        assert_int_equal(taskprof_chan_send(channel, &i), 0);
    for (int i = 0; i < QUEUED; i++) {
        actor_join(&receivers[i]);
        assert_int_equal(receivers[i].value, i);
    }
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void waiting_senders_are_served_first_come_first_served(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), capacity);
        for (size_t i = 0; i < capacity; i++)
            assert_int_equal(taskprof_chan_send(channel, &(int64_t){-1}), 0);
        struct actor senders[QUEUED];
        for (int i = 0; i < QUEUED; i++) {
            senders[i] = (struct actor){.act = act_send, .channel = channel, .value = i};
            actor_start_blocked(&senders[i], TASKPROF_CHAN_SEND);
        }
        int64_t got;
        for (size_t i = 0; i < capacity; i++) {
            assert_int_equal(taskprof_chan_receive(channel, &got, NULL), 0);
            assert_int_equal(got, -1);
        }
        for (int i = 0; i < QUEUED; i++) {
            assert_int_equal(taskprof_chan_receive(channel, &got, NULL), 0);
            assert_int_equal(got, i);
        }
        for (int i = 0; i < QUEUED; i++)
            actor_join(&senders[i]);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

static void a_receive_makes_room_for_the_longest_waiting_sender_at_once(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 1);
    assert_int_equal(taskprof_chan_send(channel, &(int64_t){1}), 0);
    struct actor sender = {.act = act_send, .channel = channel, .value = 2};
    actor_start_blocked(&sender, TASKPROF_CHAN_SEND);
    int64_t got;
    assert_int_equal(taskprof_chan_receive(channel, &got, NULL), 0);
    assert_int_equal(taskprof_chan_length(channel), 1);
    assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){3}), -EAGAIN);
    actor_join(&sender);
    assert_int_equal(taskprof_chan_receive(channel, &got, NULL), 0);
    assert_int_equal(got, 2);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_closed_channel_drains_and_then_yields_zeroes(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 3);
    assert_int_equal(taskprof_chan_send(channel, &(int64_t){1}), 0);
    assert_int_equal(taskprof_chan_send(channel, &(int64_t){2}), 0);
    assert_false(taskprof_chan_is_closed(channel));
    assert_int_equal(taskprof_chan_close(channel), 0);
    assert_true(taskprof_chan_is_closed(channel));
    int64_t got = -1;
    bool ok = false;
    for (int64_t i = 1; i <= 2; i++) {
        assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
        assert_int_equal(got, i);
        assert_true(ok);
    }
    for (int i = 0; i < 2; i++) {
        got = -1;
        assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
        assert_int_equal(got, 0);
        assert_false(ok);
    }
    got = -1;
    ok = true;
    assert_int_equal(taskprof_chan_try_receive(channel, &got, &ok), 0);
    assert_int_equal(got, 0);
    assert_false(ok);
    assert_int_equal(taskprof_chan_receive(channel, NULL, NULL), 0);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void close_wakes_every_receiver(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 2);
    struct actor receivers[QUEUED];
    for (int i = 0; i < QUEUED; i++) {
        receivers[i] =
            (struct actor){.act = act_receive, .channel = channel, .value = -1, .ok = true};
        actor_start_blocked(&receivers[i], TASKPROF_CHAN_RECEIVE);
    }
    assert_int_equal(taskprof_chan_close(channel), 0);
    for (int i = 0; i < QUEUED; i++) {
        actor_join(&receivers[i]);
        assert_int_equal(receivers[i].result, 0);
        assert_int_equal(receivers[i].value, 0);
        assert_false(receivers[i].ok);
    }
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void close_wakes_every_sender_with_an_error_and_drops_what_they_sent(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 1);
    assert_int_equal(taskprof_chan_send(channel, &(int64_t){5}), 0);
    struct actor senders[QUEUED];
    for (int i = 0; i < QUEUED; i++) {
        senders[i] = (struct actor){.act = act_send, .channel = channel, .value = 100 + i};
        actor_start_blocked(&senders[i], TASKPROF_CHAN_SEND);
    }
    assert_int_equal(taskprof_chan_close(channel), 0);
    for (int i = 0; i < QUEUED; i++) {
        actor_join(&senders[i]);
        assert_int_equal(senders[i].result, -EPIPE);
    }
    int64_t got = -1;
    bool ok = false;
    assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
    assert_int_equal(got, 5);
    assert_true(ok);
    assert_int_equal(taskprof_chan_receive(channel, &got, &ok), 0);
    assert_false(ok);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_nil_channel_blocks_and_says_so(void **state)
{
    (void)state;
    // They never end; the process ends them. Static, so that they outlive this function.
    static struct actor sender = {.act = act_send};
    static struct actor receiver = {.act = act_receive};
    actor_start_blocked(&sender, TASKPROF_CHAN_SEND_NIL);
    actor_start_blocked(&receiver, TASKPROF_CHAN_RECEIVE_NIL);
    int64_t value = 0;
    assert_int_equal(taskprof_chan_timed_send(NULL, &value, 1000), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_timed_receive(NULL, &value, NULL, 1000), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_timed_receive(NULL, &value, NULL, 0), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_try_send(NULL, &value), -EINVAL);
    assert_int_equal(taskprof_chan_try_receive(NULL, &value, NULL), -EINVAL);
    assert_int_equal(taskprof_chan_free(NULL), -EINVAL);
    assert_int_equal(taskprof_chan_length(NULL), 0);
    assert_int_equal(taskprof_chan_capacity(NULL), 0);
    assert_false(taskprof_chan_is_closed(NULL));
}

static void a_try_never_waits(void **state)
{
    (void)state;
    int64_t value = 1;
    taskprof_chan *unbuffered = make_chan(sizeof(value), 0);
    assert_int_equal(taskprof_chan_try_send(unbuffered, &value), -EAGAIN);
    assert_int_equal(taskprof_chan_try_receive(unbuffered, &value, NULL), -EAGAIN);
    taskprof_chan *buffered = make_chan(sizeof(value), 1);
    assert_int_equal(taskprof_chan_try_receive(buffered, &value, NULL), -EAGAIN);
    assert_int_equal(taskprof_chan_try_send(buffered, &value), 0);
    assert_int_equal(taskprof_chan_try_send(buffered, &value), -EAGAIN);
    assert_int_equal(taskprof_chan_try_receive(buffered, &value, NULL), 0);
    assert_int_equal(taskprof_chan_free(unbuffered), 0);
    assert_int_equal(taskprof_chan_free(buffered), 0);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void a_timed_wait_lasts_as_long_as_it_was_told_and_leaves_nothing_behind(void **state)
{
    (void)state;
    enum { SPAN_NS = 5000000 };
    int64_t value = 1;
    taskprof_chan *channel = make_chan(sizeof(value), 0);
    int64_t start = now_ns();
    assert_int_equal(taskprof_chan_timed_send(channel, &value, SPAN_NS), -ETIMEDOUT);
    assert_true(now_ns() - start >= SPAN_NS);
    start = now_ns();
    assert_int_equal(taskprof_chan_timed_receive(channel, &value, NULL, SPAN_NS), -ETIMEDOUT);
    assert_true(now_ns() - start >= SPAN_NS);
    assert_int_equal(taskprof_chan_timed_send(channel, &value, 0), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_timed_receive(channel, &value, NULL, 0), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_try_send(channel, &value), -EAGAIN);
    assert_int_equal(taskprof_chan_try_receive(channel, &value, NULL), -EAGAIN);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_timed_wait_without_end_and_one_of_ages_are_met_by_their_peers(void **state)
{
    (void)state;
    static const int64_t timeouts[] = {TASKPROF_FOREVER, INT64_MAX};
    for (int i = 0; i < 2; i++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
        struct actor receiver = {.act = act_receive, .channel = channel};
        actor_start(&receiver);
        assert_int_equal(taskprof_chan_timed_send(channel, &(int64_t){3}, timeouts[i]), 0);
        actor_join(&receiver);
        assert_int_equal(receiver.value, 3);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

static void a_channel_on_which_a_task_waits_is_not_freed(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct actor receiver = {.act = act_receive, .channel = channel};
    actor_start_blocked(&receiver, TASKPROF_CHAN_RECEIVE);
    assert_int_equal(taskprof_chan_free(channel), -EBUSY);
    assert_int_equal(taskprof_chan_send(channel, &(int64_t){9}), 0);
    assert_int_equal(taskprof_chan_free(channel), 0);
    actor_join(&receiver);
    assert_int_equal(receiver.value, 9);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    taskprof_chan *channel = (taskprof_chan *)1;
    assert_int_equal(taskprof_chan_make(1, SIZE_MAX, NULL, &channel), -EINVAL);
    assert_int_equal(taskprof_chan_make(SIZE_MAX, 1, NULL, &channel), -EINVAL);
    assert_int_equal(taskprof_chan_make((size_t)1 << 33, (size_t)1 << 33, NULL, &channel), -EINVAL);
    assert_int_equal(taskprof_chan_make(SIZE_MAX / 4, 3, NULL, &channel), -EINVAL);
    assert_ptr_equal(channel, (void *)1);
    assert_int_equal(taskprof_chan_make(8, 1, NULL, NULL), -EINVAL);
    channel = make_chan(sizeof(int), 1);
    assert_int_equal(taskprof_chan_send(channel, NULL), -EINVAL);
    assert_int_equal(taskprof_chan_length(channel), 0);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void errno_is_kept(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 1);
    int64_t value = 0;
    errno = EXDEV;
    assert_int_equal(taskprof_chan_send(channel, &value), 0);
    assert_int_equal(taskprof_chan_timed_send(channel, &value, 1000000), -ETIMEDOUT);
    assert_int_equal(taskprof_chan_close(channel), 0);
    assert_int_equal(taskprof_chan_send(channel, &value), -EPIPE);
    assert_int_equal(taskprof_chan_free(channel), 0);
    assert_int_equal(taskprof_chan_make(8, SIZE_MAX, NULL, &channel), -EINVAL);
    assert_int_equal(errno, EXDEV);
}

static void act_timed_send(struct actor *self)
{
    self->result = taskprof_chan_timed_send(self->channel, &self->value, TASKPROF_FOREVER);
}

static void act_timed_receive(struct actor *self)
{
    self->result =
        taskprof_chan_timed_receive(self->channel, &self->value, &self->ok, TASKPROF_FOREVER);
}

static void act_select_receive(struct actor *self)
{
    struct taskprof_case one = {.channel = self->channel, .element = &self->value};
    self->result = taskprof_select(&one, 1, TASKPROF_FOREVER, &self->chosen);
}

// The public function that an address lies in: the last that begins before it.
static uintptr_t public_function_of(uintptr_t address)
{
    const uintptr_t functions[] = {
        (uintptr_t)taskprof_chan_send,       (uintptr_t)taskprof_chan_receive,
        (uintptr_t)taskprof_chan_timed_send, (uintptr_t)taskprof_chan_timed_receive,
        (uintptr_t)taskprof_chan_try_send,   (uintptr_t)taskprof_chan_try_receive,
        (uintptr_t)taskprof_chan_make,       (uintptr_t)taskprof_chan_close,
        (uintptr_t)taskprof_chan_free,       (uintptr_t)taskprof_select,
    };
    uintptr_t best = 0;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (functions[i] < address && functions[i] > best)
            best = functions[i];
    }
    return best;
}

static void the_stack_of_a_wait_begins_at_the_public_function(void **state)
{
    (void)state;
    static const struct {
        void (*act)(struct actor *);
        void *leaf;
        enum taskprof_reason reason;
    } waits[] = {
        {act_send, taskprof_chan_send, TASKPROF_CHAN_SEND},
        {act_receive, taskprof_chan_receive, TASKPROF_CHAN_RECEIVE},
        {act_timed_send, taskprof_chan_timed_send, TASKPROF_CHAN_SEND},
        {act_timed_receive, taskprof_chan_timed_receive, TASKPROF_CHAN_RECEIVE},
        {act_select_receive, taskprof_select, TASKPROF_SELECT},
    };
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
        struct actor actor = {.act = waits[i].act, .channel = channel};
        actor_start_blocked(&actor, waits[i].reason);
        struct park_record record;
        assert_true(park_read(actor.task, &record));
        assert_int_equal(public_function_of(record.regs.pc), (uintptr_t)waits[i].leaf);
        if (waits[i].reason != TASKPROF_SELECT)
            assert_int_equal(record.object, (uintptr_t)channel);
        assert_int_equal(taskprof_chan_close(channel), 0);
        actor_join(&actor);
        assert_int_equal(taskprof_chan_free(channel), 0);
    }
}

// What the child of a fork finds of two channels on which other threads of the parent wait.
static int in_the_child(taskprof_chan *full, taskprof_chan *empty)
{
    int64_t value = 0;
    bool ok = false;
    if (taskprof_chan_try_receive(full, &value, &ok) != 0 || value != 1)
        return 1;
    // The sender is not there to fill the gap, nor the receiver to take anything.
    if (taskprof_chan_length(full) != 0 || taskprof_chan_try_send(empty, &value) != -EAGAIN)
        return 2;
    if (taskprof_chan_free(full) != 0 || taskprof_chan_free(empty) != 0)
        return 3;
    return taskprof_chan_make(8, 1, "child", &full) == 0 ? 0 : 4;
}

static void the_child_of_a_fork_has_the_channels_without_those_who_waited(void **state)
{
    (void)state;
    taskprof_chan *full = make_chan(sizeof(int64_t), 1);
    taskprof_chan *empty = make_chan(sizeof(int64_t), 0);
    assert_int_equal(taskprof_chan_send(full, &(int64_t){1}), 0);
    struct actor sender = {.act = act_send, .channel = full, .value = 2};
    struct actor receiver = {.act = act_receive, .channel = empty};
    actor_start_blocked(&sender, TASKPROF_CHAN_SEND);
    actor_start_blocked(&receiver, TASKPROF_CHAN_RECEIVE);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_the_child(full, empty));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    // The parent has lost nothing.
    int64_t value;
    assert_int_equal(taskprof_chan_receive(full, &value, NULL), 0);
    assert_int_equal(taskprof_chan_send(empty, &value), 0);
    actor_join(&sender);
    actor_join(&receiver);
    assert_int_equal(taskprof_chan_length(full), 1);
    assert_int_equal(taskprof_chan_free(full), 0);
    assert_int_equal(taskprof_chan_free(empty), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffered_channel_gives_back_what_was_sent_in_order),
        cmocka_unit_test(elements_of_any_size_arrive_whole),
        cmocka_unit_test(an_unbuffered_send_waits_for_its_receiver),
        cmocka_unit_test(a_send_goes_straight_to_a_waiting_receiver),
        cmocka_unit_test(waiting_receivers_are_served_first_come_first_served),
        cmocka_unit_test(waiting_senders_are_served_first_come_first_served),
        cmocka_unit_test(a_receive_makes_room_for_the_longest_waiting_sender_at_once),
        cmocka_unit_test(a_closed_channel_drains_and_then_yields_zeroes),
        cmocka_unit_test(close_wakes_every_receiver),
        cmocka_unit_test(close_wakes_every_sender_with_an_error_and_drops_what_they_sent),
        cmocka_unit_test(a_nil_channel_blocks_and_says_so),
        cmocka_unit_test(a_try_never_waits),
        cmocka_unit_test(a_timed_wait_lasts_as_long_as_it_was_told_and_leaves_nothing_behind),
        cmocka_unit_test(a_timed_wait_without_end_and_one_of_ages_are_met_by_their_peers),
        cmocka_unit_test(a_channel_on_which_a_task_waits_is_not_freed),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(errno_is_kept),
        cmocka_unit_test(the_stack_of_a_wait_begins_at_the_public_function),
        cmocka_unit_test(the_child_of_a_fork_has_the_channels_without_those_who_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
