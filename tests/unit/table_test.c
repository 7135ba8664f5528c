// The tables and sorts of the collector: what goes in comes out, in order, and without malloc.

#include "profiler/base/sort.h"
#include "profiler/base/table.h"
#include "tests/test.h"

#include <stdlib.h>

enum { KEYS = 100000 };

static void a_table_finds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    struct table table = {0};
    assert_int_equal(table_get(&table, 1), TABLE_NONE);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_true(table_put(&table, (uint64_t)i * 4096, i));
    assert_true(table_put(&table, 0, 77)); // a key that is there already
    assert_int_equal(table.count, KEYS);
    assert_int_equal(table_get(&table, 0), 77);
    for (uint32_t i = 1; i < KEYS; i++)
        assert_int_equal(table_get(&table, (uint64_t)i * 4096), i);
    assert_int_equal(table_get(&table, 5), TABLE_NONE);
    table_clear(&table);
    assert_int_equal(table_get(&table, 4096), TABLE_NONE);
    assert_true(table_put(&table, 4096, 3));
    assert_int_equal(table_get(&table, 4096), 3);
    table_release(&table);
}

static void sorting_is_descending_by_key_and_keeps_equal_ones_in_order(void **state)
{
    (void)state;
    static struct sort_item items[KEYS];
    for (size_t count = 0; count <= KEYS; count = count < 70 ? count + 1 : count * 3 + 1) {
        srand(42);
        uint64_t sum = 0, sorted_sum = 0;
        for (size_t i = 0; i < count; i++) {
            items[i] = (struct sort_item){.key = (uint64_t)rand() % 100, .index = (uint32_t)i};
            sum += items[i].key * 131 + items[i].index;
        }
        sort_descending(items, count);
        for (size_t i = 0; i < count; i++) {
            sorted_sum += items[i].key * 131 + items[i].index;
            if (i == 0)
                continue;
            assert_true(items[i - 1].key >= items[i].key);
            assert_true(items[i - 1].key > items[i].key || items[i - 1].index < items[i].index);
        }
        assert_int_equal(sum, sorted_sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_finds_what_was_put_and_nothing_else),
        cmocka_unit_test(sorting_is_descending_by_key_and_keeps_equal_ones_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
