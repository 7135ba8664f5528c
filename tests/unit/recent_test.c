// What is kept in each round is remembered, what is not kept in one is forgotten at its end.

#include "profiler/base/memory.h"
#include "profiler/snapshot/recent.h"
#include "tests/test.h"

#include <stdlib.h>

struct item {
    struct recent_entry entry;
    uint32_t value;
};

enum { KEYS = 2000, ROUNDS = 200 };

static void release(struct recent *recent)
{
    memory_unmap(recent->list, recent->capacity * recent->size);
    table_release(&recent->by_key);
}

// Which value a key has, 0: it is not remembered; and whether it was kept in this round.
static uint32_t values[KEYS];
static bool kept[KEYS];

static void begin(struct recent *recent)
{
    recent_begin(recent);
    for (int key = 0; key < KEYS; key++) {
        values[key] = kept[key] ? values[key] : 0;
        kept[key] = false;
    }
}

static void what_is_kept_is_remembered_and_nothing_else(void **state)
{
    (void)state;
    struct recent recent = RECENT_INIT(struct item);
    assert_null(recent_find(&recent, 1));
    srand(5);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        begin(&recent);
        int keep = rand() % 4 ? 90 + rand() % 11 : rand() % 100; // of a hundred; mostly almost all
        for (uint64_t key = 0; key < KEYS; key++) {
            struct item *item = recent_find(&recent, key);
            assert_int_equal(item ? item->value : 0, values[key]);
            if (rand() % 100 >= keep)
                continue;
            if (item && rand() % 2) {
                item->entry.round = recent.round;
            } else {
                item = recent_keep(&recent, key);
                assert_int_equal(item->value, values[key]); // zeroed if it is new
                item->value = values[key] = round;
            }
            kept[key] = true;
        }
    }
    release(&recent);
}

static void memory_does_not_grow_with_keys_that_come_and_go(void **state)
{
    (void)state;
    struct recent recent = RECENT_INIT(struct item);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        recent_begin(&recent);
        for (uint64_t i = 0; i < 100; i++)
            assert_non_null(recent_keep(&recent, round * 100 + i));
        assert_true(recent.count <= 200);
    }
    assert_true(recent.capacity <= 400);
    release(&recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_remembered_and_nothing_else),
        cmocka_unit_test(memory_does_not_grow_with_keys_that_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
