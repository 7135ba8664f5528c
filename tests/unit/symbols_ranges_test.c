// Overlapping ranges made disjoint: each address belongs to the range that a walk over all finds.

#include "profiler/symbols/ranges.h"
#include "tests/test.h"

#include <stdlib.h>

enum { ROUNDS = 3000, RANGES = 24, SPACE = 64 };

static const struct range *walk(const struct range *ranges, unsigned count, uint64_t address)
{
    const struct range *best = NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct range *range = &ranges[i];
        if (address < range->low || address >= range->high)
            continue;
        if (!best || range->low > best->low ||
            (range->low == best->low && range->rank >= best->rank))
            best = range;
    }
    return best;
}

static void an_address_belongs_to_the_range_that_starts_last(void **state)
{
    (void)state;
    srand48(7);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct range ranges[RANGES];
        struct buffer buffer = {0};
        unsigned count = (unsigned)lrand48() % (RANGES + 1);
        for (unsigned i = 0; i < count; i++) {
            uint64_t low = (uint64_t)lrand48() % SPACE;
            ranges[i] = (struct range){.low = low,
                                       .high = low + (uint64_t)lrand48() % 20,
                                       .origin = low,
                                       .item = i,
                                       .rank = (uint32_t)lrand48() % 3};
            buffer_append(&buffer, &ranges[i], sizeof(ranges[i]));
        }
        assert_int_equal(ranges_sort(&buffer), 0);
        assert_int_equal(ranges_flatten(&buffer), 0);
        for (uint64_t address = 0; address < SPACE + 24; address++) {
            const struct range *expected = walk(ranges, count, address);
            const struct range *found = ranges_find(&buffer, address);
            assert_int_equal(found != NULL, expected != NULL);
            if (found)
                assert_int_equal(found->item, expected->item);
            if (found)
                assert_int_equal(found->origin, expected->low);
        }
        const struct range *pieces = ranges_of(&buffer);
        for (size_t i = 1; i < ranges_count(&buffer); i++)
            assert_true(pieces[i - 1].high <= pieces[i].low);
        buffer_release(&buffer);
    }
}

static void a_million_nested_ranges_stay_linear(void **state)
{
    (void)state;
    enum { NESTED = 1000000 };
    struct buffer buffer = {0};
    for (uint64_t i = 0; i < NESTED; i++) {
        struct range range = {.low = i, .high = 4 * NESTED - i, .origin = i, .item = (uint32_t)i};
        buffer_append(&buffer, &range, sizeof(range));
    }
    assert_int_equal(ranges_sort(&buffer), 0);
    assert_int_equal(ranges_flatten(&buffer), 0);
    assert_true(ranges_count(&buffer) <= 2 * NESTED);
    assert_int_equal(ranges_find(&buffer, 4 * NESTED - 1)->item, 0);
    assert_int_equal(ranges_find(&buffer, NESTED)->item, NESTED - 1);
    assert_null(ranges_find(&buffer, 4 * NESTED));
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_belongs_to_the_range_that_starts_last),
        cmocka_unit_test(a_million_nested_ranges_stay_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
