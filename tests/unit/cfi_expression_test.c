// What each operation with two operands makes of them, by DWARF's words for it (version 5, 2.5.1.4
// and 2.5.1.5); the operations' numbers are those of elfutils.

#include "profiler/unwind/frame.h"
#include "tests/test.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

#define MINUS(number) (0 - (uint64_t)(number))
#define SMALLEST      ((uint64_t)INT64_MIN)

// `a` is pushed first.
static int run(uint8_t operation, uint64_t a, uint64_t b, uintptr_t *ret)
{
    uint8_t bytes[19] = {[0] = DW_OP_const8u, [9] = DW_OP_const8u, [18] = operation};
    memcpy(bytes + 1, &a, sizeof(a));
    memcpy(bytes + 10, &b, sizeof(b));
    struct frame frame = {0};
    struct unwind_view view = {0};
    return cfi_expression(bytes, sizeof(bytes), NULL, &frame, &view, ret);
}

static void each_operation_makes_of_its_operands_what_dwarf_says(void **state)
{
    (void)state;
    static const struct {
        uint8_t operation;
        uint64_t a, b, result;
    } rows[] = {
        {DW_OP_and, 12, 10, 8},
        {DW_OP_div, 7, 2, 3},
        {DW_OP_div, MINUS(7), 2, MINUS(3)}, // signed
        {DW_OP_div, 7, MINUS(1), MINUS(7)},
        {DW_OP_div, SMALLEST, MINUS(1), SMALLEST}, // would trap
        {DW_OP_minus, 7, 2, 5},
        {DW_OP_minus, 2, 7, MINUS(5)},
        {DW_OP_mod, 7, 4, 3},
        {DW_OP_mod, MINUS(1), 10, 5}, // unsigned
        {DW_OP_mul, 7, 3, 21},
        {DW_OP_mul, SMALLEST, 2, 0},
        {DW_OP_or, 12, 10, 14},
        {DW_OP_plus, 7, 3, 10},
        {DW_OP_plus, MINUS(1), 3, 2},
        {DW_OP_shl, 1, 63, SMALLEST},
        {DW_OP_shl, 1, 64, 0},
        {DW_OP_shr, SMALLEST, 63, 1},
        {DW_OP_shr, MINUS(1), 64, 0},
        {DW_OP_shra, SMALLEST, 63, MINUS(1)},
        {DW_OP_shra, SMALLEST, 64, MINUS(1)},
        {DW_OP_shra, 8, 2, 2},
        {DW_OP_shra, 8, MINUS(1), 0},
        {DW_OP_xor, 12, 10, 6},
        {DW_OP_eq, 3, 3, 1},
        {DW_OP_eq, 3, 4, 0},
        {DW_OP_ne, 3, 4, 1},
        {DW_OP_ne, 3, 3, 0},
        // Signed: -1 is less than 1.
        {DW_OP_ge, MINUS(1), 1, 0},
        {DW_OP_ge, 1, 1, 1},
        {DW_OP_gt, 1, MINUS(1), 1},
        {DW_OP_gt, 1, 1, 0},
        {DW_OP_le, MINUS(1), 1, 1},
        {DW_OP_le, 1, 1, 1},
        {DW_OP_le, 1, MINUS(1), 0},
        {DW_OP_lt, MINUS(1), 1, 1},
        {DW_OP_lt, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uintptr_t result;
        assert_int_equal(run(rows[i].operation, rows[i].a, rows[i].b, &result), 0);
        if (result != rows[i].result)
            fail_msg("row %zu: %#lx", i, (unsigned long)result);
    }
}

static void nothing_is_divided_by_zero(void **state)
{
    (void)state;
    uintptr_t result = 1;
    assert_int_equal(run(DW_OP_div, 7, 0, &result), -EINVAL);
    assert_int_equal(run(DW_OP_mod, 7, 0, &result), -EINVAL);
    assert_int_equal(result, 1);
}

static void an_operand_that_is_missing_is_an_error(void **state)
{
    (void)state;
    static const uint8_t operations[] = {DW_OP_and, DW_OP_div,  DW_OP_minus, DW_OP_mod, DW_OP_mul,
                                         DW_OP_or,  DW_OP_plus, DW_OP_shl,   DW_OP_shr, DW_OP_shra,
                                         DW_OP_xor, DW_OP_eq,   DW_OP_ge,    DW_OP_gt,  DW_OP_le,
                                         DW_OP_lt,  DW_OP_ne};
    struct frame frame = {0};
    struct unwind_view view = {0};
    uintptr_t one = 1, result;
    for (size_t i = 0; i < sizeof(operations); i++) {
        assert_int_equal(cfi_expression(&operations[i], 1, &one, &frame, &view, &result), -EINVAL);
        assert_int_equal(cfi_expression(&operations[i], 1, NULL, &frame, &view, &result), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_makes_of_its_operands_what_dwarf_says),
        cmocka_unit_test(nothing_is_divided_by_zero),
        cmocka_unit_test(an_operand_that_is_missing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
