// The same bytes get the same id, whichever thread comes first; a full table says so.

#include "profiler/base/intern.h"
#include "profiler/base/memory.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, STRINGS = 20000 };

static struct intern shared = {.limit = 64 << 20};
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
    small->limit = 4096;
    uint32_t first = intern(small, "first", 5);
    assert_true(first > INTERN_FULL);
    unsigned rejected = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%u", i);
        rejected += intern(small, text, (size_t)length) == INTERN_FULL;
    }
    assert_true(rejected > 800);
    assert_int_equal(atomic_load(&small->rejected), rejected);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_intern_the_same_strings_get_the_same_ids),
        cmocka_unit_test(a_full_table_keeps_what_it_has_and_counts_what_it_turns_away),
        cmocka_unit_test(ids_that_were_never_given_have_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
