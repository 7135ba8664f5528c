// What Go panics at is an error here, is counted, and is kept with both stacks.

#include "profiler/channels/channel.h"
#include "tests/unit/chan_helpers.h"

#include <errno.h>

static struct misuses all(void)
{
    struct misuses misuses;
    misuse_read(&misuses);
    return misuses;
}

static uint64_t count_of(enum misuse_kind kind)
{
    return all().counts[kind];
}

static struct misuse latest(void)
{
    struct misuses misuses = all();
    assert_true(misuses.kept > 0);
    return misuses.latest[0];
}

// Functions of their own, so that a stack tells which of them it came through.
static __attribute__((noinline)) int close_here(taskprof_chan *channel)
{
    int result = taskprof_chan_close(channel);
    __asm__ volatile(""); // no tail call
    return result;
}

static __attribute__((noinline)) int close_there(taskprof_chan *channel)
{
    int result = taskprof_chan_close(channel);
    __asm__ volatile("# elsewhere"); // nor one function with the other
    return result;
}

static __attribute__((noinline)) int free_here(taskprof_chan *channel)
{
    int result = taskprof_chan_free(channel);
    __asm__ volatile("");
    return result;
}

// The function that an address lies in, out of those that matter here: the last that begins before.
static uintptr_t function_of(uintptr_t address)
{
    const uintptr_t functions[] = {
        (uintptr_t)close_here,
        (uintptr_t)close_there,
        (uintptr_t)free_here,
        (uintptr_t)taskprof_chan_send,
        (uintptr_t)taskprof_chan_try_send,
        (uintptr_t)taskprof_chan_timed_send,
        (uintptr_t)taskprof_select,
        (uintptr_t)taskprof_chan_close,
        (uintptr_t)taskprof_chan_free,
    };
    uintptr_t best = 0;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (functions[i] < address && functions[i] > best)
            best = functions[i];
    }
    return best;
}

static void assert_came_from(stack_id id, void *leaf, void *caller)
{
    const struct stack *stack = stack_get(id);
    assert_true(stack->depth >= 2);
    assert_int_equal(function_of(stack->frames[0]), (uintptr_t)leaf);
    if (caller)
        assert_int_equal(function_of(stack->frames[1]), (uintptr_t)caller);
}

static void a_send_on_a_closed_channel_is_told_with_its_close(void **state)
{
    (void)state;
    taskprof_chan *channel;
    assert_int_equal(taskprof_chan_make(8, 1, "closed", &channel), 0);
    assert_int_equal(close_here(channel), 0);
    uint64_t before = count_of(MISUSE_SEND_ON_CLOSED);
    int64_t value = 1;
    unsigned chosen;
    struct taskprof_case one = {.channel = channel, .element = &value, .send = true};
    assert_int_equal(taskprof_chan_send(channel, &value), -EPIPE);
    assert_int_equal(taskprof_chan_try_send(channel, &value), -EPIPE);
    assert_int_equal(taskprof_chan_timed_send(channel, &value, 1000), -EPIPE);
    assert_int_equal(taskprof_select(&one, 1, TASKPROF_FOREVER, &chosen), -EPIPE);
    assert_int_equal(count_of(MISUSE_SEND_ON_CLOSED), before + 4);
    struct misuses misuses = all();
    const struct misuse *kept = misuses.latest;
    assert_true(misuses.kept >= 4);
    static void *const leaves[] = {taskprof_select, taskprof_chan_timed_send,
                                   taskprof_chan_try_send, taskprof_chan_send};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(kept[i].kind, MISUSE_SEND_ON_CLOSED);
        assert_string_equal(kept[i].name, "closed");
        assert_int_equal(kept[i].task, taskprof_task_id(taskprof_task_self()));
        assert_came_from(kept[i].stack, leaves[i], NULL);
        assert_came_from(kept[i].earlier, taskprof_chan_close, close_here);
    }
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_sender_that_a_close_wakes_is_told_too(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct actor sender = {.act = act_send, .channel = channel};
    actor_start_blocked(&sender, TASKPROF_CHAN_SEND);
    uint64_t id = taskprof_task_id(sender.task);
    uint64_t before = count_of(MISUSE_SEND_ON_CLOSED);
    assert_int_equal(close_here(channel), 0);
    actor_join(&sender);
    assert_int_equal(sender.result, -EPIPE);
    assert_int_equal(count_of(MISUSE_SEND_ON_CLOSED), before + 1);
    assert_int_equal(latest().task, id);
    assert_came_from(latest().earlier, taskprof_chan_close, close_here);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_second_close_is_told_with_the_first(void **state)
{
    (void)state;
    taskprof_chan *channel;
    assert_int_equal(taskprof_chan_make(8, 1, "twice", &channel), 0);
    uint64_t before = count_of(MISUSE_CLOSE_OF_CLOSED);
    assert_int_equal(close_here(channel), 0);
    assert_int_equal(count_of(MISUSE_CLOSE_OF_CLOSED), before);
    assert_int_equal(close_there(channel), -EALREADY);
    assert_int_equal(count_of(MISUSE_CLOSE_OF_CLOSED), before + 1);
    struct misuse misuse = latest();
    assert_int_equal(misuse.kind, MISUSE_CLOSE_OF_CLOSED);
    assert_string_equal(misuse.name, "twice");
    assert_int_not_equal(misuse.channel, 0);
    assert_int_not_equal(misuse.at_ns, 0);
    assert_came_from(misuse.stack, taskprof_chan_close, close_there);
    assert_came_from(misuse.earlier, taskprof_chan_close, close_here);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_close_of_nil_is_told(void **state)
{
    (void)state;
    uint64_t before = count_of(MISUSE_CLOSE_OF_NIL);
    assert_int_equal(close_here(NULL), -EINVAL);
    assert_int_equal(count_of(MISUSE_CLOSE_OF_NIL), before + 1);
    assert_int_equal(latest().channel, 0);
    assert_string_equal(latest().name, "");
    assert_came_from(latest().stack, taskprof_chan_close, close_here);
    assert_int_equal(latest().earlier, 0);
}

static void the_use_of_a_freed_channel_is_told_with_its_free(void **state)
{
    (void)state;
    taskprof_chan *channel;
    assert_int_equal(taskprof_chan_make(8, 4, "freed", &channel), 0);
    assert_int_equal(free_here(channel), 0);
    int64_t value = 1;
    unsigned chosen;
    struct taskprof_case one = {.channel = channel, .element = &value};
    uint64_t before = count_of(MISUSE_USE_AFTER_FREE);
    assert_int_equal(taskprof_chan_send(channel, &value), -ESTALE);
    assert_int_equal(taskprof_chan_receive(channel, &value, NULL), -ESTALE);
    assert_int_equal(taskprof_chan_try_send(channel, &value), -ESTALE);
    assert_int_equal(taskprof_chan_try_receive(channel, &value, NULL), -ESTALE);
    assert_int_equal(taskprof_chan_timed_send(channel, &value, 1), -ESTALE);
    assert_int_equal(taskprof_chan_timed_receive(channel, &value, NULL, 1), -ESTALE);
    assert_int_equal(taskprof_select(&one, 1, TASKPROF_FOREVER, &chosen), -ESTALE);
    assert_int_equal(taskprof_chan_close(channel), -ESTALE);
    assert_int_equal(taskprof_chan_free(channel), -ESTALE);
    assert_int_equal(taskprof_chan_length(channel), 0);
    assert_int_equal(taskprof_chan_capacity(channel), 0);
    assert_true(taskprof_chan_is_closed(channel));
    assert_int_equal(count_of(MISUSE_USE_AFTER_FREE), before + 12);
    struct misuse misuse = latest();
    assert_int_equal(misuse.kind, MISUSE_USE_AFTER_FREE);
    assert_string_equal(misuse.name, "freed");
    assert_came_from(misuse.earlier, taskprof_chan_free, free_here);
}

static void a_freed_channel_is_known_for_many_frees_to_come(void **state)
{
    (void)state;
    taskprof_chan *freed = make_chan(8, 1);
    assert_int_equal(taskprof_chan_free(freed), 0);
    for (int i = 0; i < 1000; i++) {
        taskprof_chan *other = make_chan(8, 1);
        assert_ptr_not_equal(other, freed);
        assert_int_equal(taskprof_chan_free(other), 0);
        assert_int_equal(taskprof_chan_close(freed), -ESTALE);
    }
    // Nor is memory used up for ever: the same places come back.
    bool again = false;
    for (int i = 0; i < 1000000 && !again; i++) {
        taskprof_chan *other = make_chan(8, 1);
        again = other == freed;
        assert_int_equal(taskprof_chan_free(other), 0);
    }
    assert_true(again);
}

static void the_latest_misuses_come_newest_first(void **state)
{
    (void)state;
    uint64_t forgotten = all().forgotten;
    unsigned there = all().kept;
    for (unsigned i = 0; i < 3 * MISUSES_KEPT; i++)
        misuse_record(MISUSE_CLOSE_OF_CLOSED, i, "many", 1000 + i, 0);
    assert_true(all().forgotten >= forgotten + there + 2 * MISUSES_KEPT);
    struct misuses misuses = all();
    const struct misuse *kept = misuses.latest;
    assert_int_equal(misuses.kept, MISUSES_KEPT);
    for (unsigned i = 0; i < MISUSES_KEPT; i++)
        assert_int_equal(kept[i].channel, 3 * MISUSES_KEPT - 1 - i);
}

static void a_misuse_that_repeats_is_kept_once_and_hides_no_other(void **state)
{
    (void)state;
    misuse_record(MISUSE_USE_AFTER_FREE, 7, "rare", 2000, 2001);
    for (unsigned i = 1; i <= 1000; i++)
        misuse_record(MISUSE_CLOSE_OF_CLOSED, i, "noisy", 3000, 3001);
    struct misuses misuses = all();
    const struct misuse *kept = misuses.latest;
    assert_true(misuses.kept >= 2);
    assert_string_equal(kept[0].name, "noisy");
    assert_int_equal(kept[0].times, 1000);
    assert_int_equal(kept[0].channel, 1000);
    assert_true(kept[0].first_ns <= kept[0].at_ns);
    assert_string_equal(kept[1].name, "rare");
    assert_int_equal(kept[1].times, 1);
}

static void every_kind_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(misuse_text(MISUSE_SEND_ON_CLOSED), "send on closed channel");
    assert_string_equal(misuse_text(MISUSE_CLOSE_OF_CLOSED), "close of closed channel");
    assert_string_equal(misuse_text(MISUSE_CLOSE_OF_NIL), "close of nil channel");
    assert_string_equal(misuse_text(MISUSE_USE_AFTER_FREE), "use of freed channel");
    assert_string_equal(misuse_text(MISUSE_KINDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_on_a_closed_channel_is_told_with_its_close),
        cmocka_unit_test(a_sender_that_a_close_wakes_is_told_too),
        cmocka_unit_test(a_second_close_is_told_with_the_first),
        cmocka_unit_test(a_close_of_nil_is_told),
        cmocka_unit_test(the_use_of_a_freed_channel_is_told_with_its_free),
        cmocka_unit_test(a_freed_channel_is_known_for_many_frees_to_come),
        cmocka_unit_test(the_latest_misuses_come_newest_first),
        cmocka_unit_test(a_misuse_that_repeats_is_kept_once_and_hides_no_other),
        cmocka_unit_test(every_kind_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
