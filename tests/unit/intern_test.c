// The same bytes get the same id, whichever thread comes first; a full table says so, and makes
// room for what is in use by turning to a new generation.

#include "profiler/base/epoch.h"
#include "profiler/base/intern.h"
#include "profiler/base/memory.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, STRINGS = 20000 };

static struct intern shared = INTERN_INIT("strings", "they are lost", 64 << 20);
static uint32_t ids[THREADS][STRINGS];

static void *intern_all(void *argument)
{
    uint32_t *mine = argument;
    for (unsigned i = 0; i < STRINGS; i++) {
        char text[32];
        int length = snprintf(text, sizeof(text), "string number %u", i);
        mine[i] = intern(&shared, text, (size_t)length);
    }
    return NULL;
}

static void threads_that_intern_the_same_strings_get_the_same_ids(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, intern_all, ids[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < STRINGS; i++) {
        for (int t = 1; t < THREADS; t++)
            assert_int_equal(ids[t][i], ids[0][i]);
        char text[32];
        size_t length;
        int expected = snprintf(text, sizeof(text), "string number %u", i);
        const void *bytes = intern_get(&shared, ids[0][i], &length);
        assert_int_equal(length, expected);
        assert_memory_equal(bytes, text, length);
        assert_true(i == 0 || ids[0][i] != ids[0][i - 1]);
    }
}

static void a_full_table_keeps_what_it_has_and_counts_what_it_turns_away(void **state)
{
    (void)state;
    struct intern *small = memory_map(sizeof(*small));
    small->budget.limit = 4096;
    uint32_t first = intern(small, "first", 5);
    assert_true(first > INTERN_FULL);
    unsigned rejected = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%u", i);
        rejected += intern(small, text, (size_t)length) == INTERN_FULL;
    }
    assert_true(rejected > 800);
    assert_int_equal(atomic_load(&small->budget.left_out), rejected);
    assert_int_equal(intern(small, "first", 5), first);
    assert_true(intern_bytes(small) <= 4096);
}

static void ids_that_were_never_given_have_no_bytes(void **state)
{
    (void)state;
    size_t length = 1;
    assert_null(intern_get(&shared, INTERN_NONE, &length));
    assert_int_equal(length, 0);
    assert_null(intern_get(&shared, INTERN_FULL, &length));
    assert_null(intern_get(&shared, UINT32_MAX, &length));
    assert_int_equal(intern(&shared, "", 0), INTERN_NONE);
}

static uint32_t intern_number(struct intern *table, unsigned number)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", number);
    return intern(table, text, (size_t)length);
}

static void assert_number(const struct intern *table, uint32_t id, unsigned number)
{
    char text[16];
    int expected = snprintf(text, sizeof(text), "%u", number);
    size_t length;
    const void *bytes = intern_get(table, id, &length);
    assert_int_equal(length, expected);
    assert_memory_equal(bytes, text, length);
}

static unsigned fill(struct intern *table, unsigned from)
{
    while (intern_number(table, from) != INTERN_FULL)
        from++;
    return from;
}

enum { SMALL = 1 << 20 };

static struct intern *small_table(void)
{
    struct intern *small = memory_map(sizeof(*small));
    assert_non_null(small);
    *small = (struct intern)INTERN_INIT("strings", "they are lost", SMALL);
    return small;
}

static void what_is_renewed_outlives_a_turn_and_all_else_makes_room(void **state)
{
    (void)state;
    struct intern *small = small_table();
    assert_false(intern_is_due(small));
    uint32_t in_use = intern_number(small, 7);
    unsigned next = 0;
    for (int turn = 0; turn < 10; turn++) {
        unsigned before = next;
        next = fill(small, next);
        assert_true(next - before > 10000); // room for as many each time
        assert_true(intern_is_due(small));
        intern_turn(small);
        assert_true(intern_may_renew(small));
        uint32_t renewed = intern_renew(small, in_use);
        assert_true(renewed > INTERN_FULL && renewed != in_use);
        assert_int_equal(intern_renew(small, renewed), renewed);
        assert_number(small, in_use, 7); // of both generations until the old one is gone
        assert_number(small, renewed, 7);
        intern_retire(small);
        assert_false(intern_is_due(small)); // gives it back
        assert_int_equal(small->old, INTERN_NO_OLD);
        size_t length;
        assert_null(intern_get(small, in_use, &length));
        assert_number(small, renewed, 7);
        assert_int_equal(intern_number(small, 7), renewed);
        in_use = renewed;
    }
}

static void where_all_is_in_use_there_is_no_turn(void **state)
{
    (void)state;
    struct intern *small = small_table();
    unsigned end = fill(small, 0);
    assert_true(intern_is_due(small));
    intern_turn(small);
    assert_true(intern_may_renew(small));
    // Every one is found again by its old id: ids are units of 8 bytes, and these take three each.
    unsigned found = 0;
    for (uint32_t id = 2; id < SMALL / 8; id++) {
        size_t length;
        const char *text = intern_get(small, id, &length);
        if ((id - 2) % 3 == 0 && text && length && text[0] >= '0' && text[0] <= '9')
            found += intern_renew(small, id) > INTERN_FULL;
    }
    assert_int_equal(found, end);
    intern_retire(small);
    assert_false(intern_is_due(small));
    assert_int_equal(intern_number(small, end), INTERN_FULL);
    assert_false(intern_is_due(small));
    // But a minute later, for somebody may have ended meanwhile.
    small->turned_ns -= 60 * 1000000000ull;
    assert_true(intern_is_due(small));
    intern_turn(small);
    intern_retire(small);
    assert_false(intern_is_due(small));
    assert_true(intern_number(small, end) > INTERN_FULL);
    small->turned_ns -= 60 * 1000000000ull; // and not without a need
    assert_false(intern_is_due(small));
}

// Ids of numbers below `count`, in use.
static unsigned renew_all(struct intern *table, uint32_t *in_use, unsigned count)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < count; i++) {
        in_use[i] = intern_renew(table, in_use[i]);
        lost += in_use[i] == INTERN_FULL;
    }
    return lost;
}

static void newcomers_never_take_the_room_of_what_is_in_use(void **state)
{
    (void)state;
    enum { IN_USE = 36000 };
    static uint32_t in_use[IN_USE];
    struct intern *small = small_table();
    for (unsigned i = 0; i < IN_USE; i++)
        in_use[i] = intern_number(small, i);
    unsigned next = fill(small, IN_USE);
    assert_true(next - IN_USE < IN_USE / 4); // most of the room is in use
    for (int turn = 0; turn < 3; turn++) {
        intern_turn(small);
        unsigned before = next;
        next = fill(small, next); // and all come before anything is moved
        assert_true(turn == 0 || next - before < IN_USE / 4);
        assert_int_equal(renew_all(small, in_use, IN_USE), 0);
        intern_retire(small);
        intern_is_due(small);
        assert_int_equal(small->old, INTERN_NO_OLD);
        assert_true(intern_bytes(small) <= (size_t)2 * SMALL);
    }
    for (unsigned i = 0; i < IN_USE; i++)
        assert_number(small, in_use[i], i);
}

static void nothing_is_given_back_while_a_section_or_a_hold_of_before_lasts(void **state)
{
    (void)state;
    struct intern *small = small_table();
    struct epoch_hold hold = {0};
    uint32_t id = intern_number(small, 7);
    fill(small, 0);

    uint64_t section = epoch_enter();
    intern_turn(small);
    assert_false(intern_may_renew(small));
    assert_number(small, id, 7);
    epoch_leave(section);
    assert_true(intern_may_renew(small));

    section = epoch_enter();
    epoch_hold(&hold);
    intern_retire(small);
    intern_is_due(small);
    assert_number(small, id, 7);
    epoch_leave(section);
    intern_is_due(small);
    assert_number(small, id, 7);
    struct epoch_hold late = {0}; // began after it had retired, and must not keep it
    epoch_hold(&late);
    epoch_release(&hold);
    intern_is_due(small);
    assert_int_equal(small->old, INTERN_NO_OLD);
    size_t length;
    assert_null(intern_get(small, id, &length));
    epoch_release(&late);
}

// As a collector and the application's threads: they note ids in slots that it renews.
enum { SLOTS = 64, ROUNDS = 30 };
static struct intern *turning;
static struct {
    _Atomic uint32_t id;
    unsigned number; // its owner's
} slots[THREADS][SLOTS];
static _Atomic bool over;

static void *note_in_slots(void *argument)
{
    unsigned mine = (unsigned)(uintptr_t)argument;
    for (unsigned number = mine; !atomic_load(&over); number += THREADS) {
        uint64_t section = epoch_enter();
        unsigned slot = number / THREADS % SLOTS;
        uint32_t old = atomic_load(&slots[mine][slot].id);
        if (old > INTERN_FULL)
            assert_number(turning, old, slots[mine][slot].number);
        uint32_t id = intern_number(turning, number);
        slots[mine][slot].number = number;
        atomic_store(&slots[mine][slot].id, id);
        epoch_leave(section);
    }
    return NULL;
}

static void renew_slots(void)
{
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < SLOTS; i++) {
            uint32_t id = atomic_load(&slots[t][i].id);
            uint32_t renewed = intern_renew(turning, id);
            // Its owner may have noted another one meanwhile, which is young.
            atomic_compare_exchange_strong(&slots[t][i].id, &id, renewed);
        }
}

static void ids_that_threads_note_while_the_table_turns_stay_right(void **state)
{
    (void)state;
    turning = small_table();
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_in_slots, (void *)i), 0);
    for (unsigned turns = 0; turns < ROUNDS;) {
        if (intern_is_due(turning))
            intern_turn(turning);
        if (intern_may_renew(turning)) {
            renew_slots();
            intern_retire(turning);
            turns++;
        }
        sched_yield();
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < SLOTS; i++)
            if (atomic_load(&slots[t][i].id) > INTERN_FULL)
                assert_number(turning, atomic_load(&slots[t][i].id), slots[t][i].number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_intern_the_same_strings_get_the_same_ids),
        cmocka_unit_test(a_full_table_keeps_what_it_has_and_counts_what_it_turns_away),
        cmocka_unit_test(ids_that_were_never_given_have_no_bytes),
        cmocka_unit_test(what_is_renewed_outlives_a_turn_and_all_else_makes_room),
        cmocka_unit_test(where_all_is_in_use_there_is_no_turn),
        cmocka_unit_test(newcomers_never_take_the_room_of_what_is_in_use),
        cmocka_unit_test(nothing_is_given_back_while_a_section_or_a_hold_of_before_lasts),
        cmocka_unit_test(ids_that_threads_note_while_the_table_turns_stay_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
