// Questions about waits on objects that nobody registered: what happens when more are asked than
// anybody answers, and when all is forgotten while one of them is being answered.

#include "profiler/base/epoch.h"
#include "profiler/channels/inquiry.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>

enum { QUESTIONS_MAX = 1 << 14, MORE = 100 };

static unsigned sweeps;

static void sweep(void)
{
    sweeps++;
}

static int begin(void **state)
{
    (void)state;
    inquiry_open(sweep);
    return 0;
}

static int end(void **state)
{
    (void)state;
    inquiry_close();
    return 0;
}

static struct inquiry question(uint32_t number)
{
    return (struct inquiry){.stack = number + 1, .object = 0x1000 + number, .task_slot = number};
}

static enum inquiry_state ask(uint32_t number)
{
    struct inquiry inquiry = question(number);
    struct inquiry_answer answer;
    return inquiry_find(&inquiry, &answer);
}

static uint64_t left_out(void)
{
    return atomic_load(&inquiry_budget.left_out);
}

static uint32_t answer_all_with_no(void)
{
    uint32_t count = 0;
    struct inquiry inquiry;
    for (; inquiry_next(&inquiry); count++)
        inquiry_settle(&inquiry, NULL, false);
    return count;
}

static void read_nothing(const struct channel *channel, struct channel_reading *ret)
{
    (void)channel;
    *ret = (struct channel_reading){.length = TASKPROF_UNKNOWN, .capacity = TASKPROF_UNKNOWN};
}

static struct channel *new_channel(void)
{
    uint64_t section = epoch_enter();
    struct channel *channel = channel_new("found", 0);
    assert_non_null(channel);
    channel->read = read_nothing;
    channel->object = (uintptr_t)channel;
    channel_publish(channel);
    epoch_leave(section);
    return channel;
}

static struct inquiry_answer answer_of(const struct channel *channel)
{
    return (struct inquiry_answer){.channel_slot = channel->index,
                                   .channel_id = atomic_load(&channel->id),
                                   .side = INQUIRY_SEND};
}

static void what_is_asked_beyond_the_room_is_counted_and_asked_again_later(void **state)
{
    (void)state;
    uint64_t before = left_out();
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++)
        assert_int_equal(ask(i), INQUIRY_OPEN);
    assert_int_equal(left_out(), before);
    assert_int_equal(ask(0), INQUIRY_OPEN); // was asked already: needs no room
    assert_int_equal(left_out(), before);
    for (uint32_t i = 0; i < MORE; i++)
        assert_int_equal(ask(QUESTIONS_MAX + i), INQUIRY_OPEN);
    assert_int_equal(left_out(), before + MORE);

    // Those that had room are answered in their order, and the others when they are asked again.
    struct inquiry inquiry;
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
        assert_true(inquiry_next(&inquiry));
        assert_int_equal(inquiry.stack, question(i).stack);
        assert_int_equal(inquiry.object, question(i).object);
        assert_int_equal(inquiry.task_slot, i);
        inquiry_settle(&inquiry, NULL, false);
    }
    assert_false(inquiry_next(&inquiry));
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++)
        assert_int_equal(ask(i), INQUIRY_NO);
    for (uint32_t i = 0; i < MORE; i++)
        assert_int_equal(ask(QUESTIONS_MAX + i), INQUIRY_OPEN);
    assert_int_equal(answer_all_with_no(), MORE);
    for (uint32_t i = 0; i < MORE; i++)
        assert_int_equal(ask(QUESTIONS_MAX + i), INQUIRY_NO);
    assert_int_equal(left_out(), before + MORE);
}

static void a_full_ring_goes_on_as_soon_as_one_is_taken(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QUESTIONS_MAX; i++)
        ask(i);
    uint64_t before = left_out();
    for (uint32_t i = 0; i < 3 * QUESTIONS_MAX; i++) {
        struct inquiry inquiry;
        assert_true(inquiry_next(&inquiry));
        assert_int_equal(inquiry.stack, question(i).stack);
        inquiry_settle(&inquiry, NULL, false);
        assert_int_equal(ask(QUESTIONS_MAX + i), INQUIRY_OPEN);
    }
    assert_int_equal(left_out(), before);
    assert_int_equal(answer_all_with_no(), QUESTIONS_MAX);
    assert_false(inquiry_wait(inquiry_version())); // all is settled: returns at once
}

static void answers_of_before_hold_while_questions_are_left_out(void **state)
{
    (void)state;
    struct channel *channel = new_channel();
    struct inquiry_answer yes = answer_of(channel);
    struct inquiry_answer answer = {0};
    struct inquiry inquiry;
    uint32_t version = inquiry_version();
    ask(7);
    assert_true(inquiry_next(&inquiry));
    inquiry_settle(&inquiry, &yes, false);
    assert_int_not_equal(inquiry_version(), version);
    uint64_t before = left_out();
    for (uint32_t i = 0; i < QUESTIONS_MAX + MORE; i++)
        ask(100 + i);
    assert_int_equal(left_out(), before + MORE);
    inquiry = question(7);
    assert_int_equal(inquiry_find(&inquiry, &answer), INQUIRY_YES);
    assert_int_equal(answer.channel_id, yes.channel_id);
    assert_int_equal(answer.side, INQUIRY_SEND);
    // Of a channel that is gone it is asked anew, which has no room.
    channel_end(channel);
    assert_int_equal(inquiry_find(&inquiry, &answer), INQUIRY_OPEN);
    assert_int_equal(left_out(), before + MORE + 1);
    answer_all_with_no();
    assert_int_equal(inquiry_find(&inquiry, &answer), INQUIRY_OPEN);
    assert_true(inquiry_next(&inquiry));
    assert_int_equal(inquiry.stack, question(7).stack);
    inquiry_settle(&inquiry, NULL, false);
}

static void what_is_forgotten_while_it_is_answered_is_not_kept(void **state)
{
    (void)state;
    struct channel *channel = new_channel();
    struct inquiry_answer yes = answer_of(channel);
    struct inquiry_answer answer;
    struct inquiry late;
    struct inquiry inquiry = question(7);
    static const struct {
        bool yes;
        bool later;
    } cases[] = {{true, false}, {false, false}, {false, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(ask(7), INQUIRY_OPEN);
        ask(8);
        assert_true(inquiry_next(&late));
        uint32_t version = inquiry_version();
        inquiry_forget();
        assert_false(inquiry_next(&inquiry)); // what nobody took is forgotten, too
        inquiry_settle(&late, cases[i].yes ? &yes : NULL, cases[i].later);
        assert_int_equal(inquiry_version(), version);
        inquiry = question(7);
        assert_int_equal(inquiry_find(&inquiry, &answer), INQUIRY_OPEN);
        // It was asked anew, and this answer is kept.
        assert_true(inquiry_next(&inquiry));
        assert_int_equal(inquiry.stack, question(7).stack);
        inquiry_settle(&inquiry, &yes, false);
        assert_int_equal(inquiry_find(&inquiry, &answer), INQUIRY_YES);
        assert_int_equal(answer.channel_id, yes.channel_id);
        inquiry_forget();
    }
    channel_end(channel);
}

static void a_late_answer_does_not_replace_that_of_now(void **state)
{
    (void)state;
    struct channel *channel = new_channel();
    struct inquiry_answer yes = answer_of(channel);
    struct inquiry late;
    struct inquiry inquiry;
    ask(7);
    assert_true(inquiry_next(&late));
    inquiry_forget();
    ask(7);
    assert_true(inquiry_next(&inquiry));
    inquiry_settle(&inquiry, NULL, false);
    assert_int_equal(ask(7), INQUIRY_NO);
    inquiry_settle(&late, &yes, false);
    assert_int_equal(ask(7), INQUIRY_NO);
    channel_end(channel);
}

static void nobody_waits_for_what_was_forgotten(void **state)
{
    (void)state;
    struct inquiry late;
    for (uint32_t i = 0; i < 10; i++)
        ask(i);
    assert_true(inquiry_next(&late));
    uint32_t version = inquiry_version();
    inquiry_forget();
    assert_false(inquiry_wait(version));
    inquiry_settle(&late, NULL, false);
    assert_false(inquiry_wait(version));
}

static void while_nobody_answers_nothing_is_asked(void **state)
{
    (void)state;
    uint64_t before = left_out();
    inquiry_close();
    for (uint32_t i = 0; i < QUESTIONS_MAX + MORE; i++)
        assert_int_equal(ask(i), INQUIRY_NO);
    assert_int_equal(left_out(), before);
    unsigned swept = sweeps;
    inquiry_sweep();
    assert_int_equal(sweeps, swept);
    inquiry_open(sweep);
    inquiry_sweep();
    assert_int_equal(sweeps, swept + 1);
    struct inquiry inquiry;
    assert_false(inquiry_next(&inquiry));
    assert_int_equal(ask(1), INQUIRY_OPEN);
}

// As the types thread and several collectors, with a forgetting now and then.
enum { ASKERS = 3, ROUNDS = 60000 };
static _Atomic bool over;
static _Atomic unsigned wrong;
static struct inquiry_answer the_answer;

static void *answer_until_over(void *unused)
{
    while (!atomic_load(&over)) {
        uint32_t turn = inquiry_turn();
        if (atomic_load(&over))
            break;
        struct inquiry inquiry;
        while (inquiry_next(&inquiry)) {
            bool yes = inquiry.stack % 2;
            inquiry_settle(&inquiry, yes ? &the_answer : NULL, false);
        }
        inquiry_sleep(turn);
    }
    return unused;
}

static void *ask_and_check(void *argument)
{
    uint32_t base = (uint32_t)(uintptr_t)argument * ROUNDS;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct inquiry inquiry = question(base + i);
        struct inquiry_answer answer = {0};
        enum inquiry_state seen = inquiry_find(&inquiry, &answer);
        if (i % 64 == 0) {
            inquiry_wait(inquiry_version());
            seen = inquiry_find(&inquiry, &answer);
        }
        if (i % 5000 == 0)
            inquiry_forget();
        bool yes = inquiry.stack % 2;
        if (seen == INQUIRY_YES && (!yes || answer.channel_id != the_answer.channel_id))
            atomic_fetch_add(&wrong, 1);
        if (seen == INQUIRY_NO && yes)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

static void threads_that_ask_and_forget_at_once_never_get_anothers_answer(void **state)
{
    (void)state;
    pthread_t answerer;
    pthread_t askers[ASKERS];
    struct channel *channel = new_channel();
    the_answer = answer_of(channel);
    assert_int_equal(pthread_create(&answerer, NULL, answer_until_over, NULL), 0);
    for (uintptr_t i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_and_check, (void *)i), 0);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(askers[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    // It still answers.
    inquiry_forget();
    struct inquiry inquiry = question(2);
    struct inquiry_answer answer = {0};
    eventually((inquiry_wait(0), inquiry_find(&inquiry, &answer) == INQUIRY_YES));
    assert_int_equal(answer.channel_id, the_answer.channel_id);
    atomic_store(&over, true);
    inquiry_wake();
    pthread_join(answerer, NULL);
    channel_end(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_asked_beyond_the_room_is_counted_and_asked_again_later, begin, end),
        cmocka_unit_test_setup_teardown(a_full_ring_goes_on_as_soon_as_one_is_taken, begin, end),
        cmocka_unit_test_setup_teardown(answers_of_before_hold_while_questions_are_left_out, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_forgotten_while_it_is_answered_is_not_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_late_answer_does_not_replace_that_of_now, begin, end),
        cmocka_unit_test_setup_teardown(nobody_waits_for_what_was_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(while_nobody_answers_nothing_is_asked, begin, end),
        cmocka_unit_test_setup_teardown(
            threads_that_ask_and_forget_at_once_never_get_anothers_answer, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
