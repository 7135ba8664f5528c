// Query strings, numbers and spans of time, as a client may send them.

#include "answers/query.h"
#include "tests/test.h"

#include <errno.h>
#include <string.h>

static void the_first_value_of_a_name_is_taken_and_decoded(void **state)
{
    char value[32];
    (void)state;
    assert_int_equal(query_get("debug=2&state=chan+receive&debug=1", "debug", value, 32), 1);
    assert_string_equal(value, "2");
    assert_int_equal(query_get("debug=2&state=chan+receive", "state", value, 32), 1);
    assert_string_equal(value, "chan receive");
    assert_int_equal(query_get("state=chan%20receive%2B", "state", value, 32), 1);
    assert_string_equal(value, "chan receive+");
    assert_int_equal(query_get("a=b=c", "a", value, 32), 1);
    assert_string_equal(value, "b=c");
}

static void a_name_is_found_whole_or_not_at_all(void **state)
{
    char value[32];
    (void)state;
    assert_int_equal(query_get("", "debug", value, 32), 0);
    assert_int_equal(query_get("xdebug=2&debugx=2&&=&", "debug", value, 32), 0);
    assert_int_equal(query_get("x&debug&y", "debug", value, 32), 1);
    assert_string_equal(value, "");
    assert_int_equal(query_get("x=1&debug=", "debug", value, 32), 1);
    assert_string_equal(value, "");
}

static void bad_encoding_nul_and_too_long_values_are_refused(void **state)
{
    static const char *const bad[] = {"a=%", "a=%1", "a=%zz", "a=%00", "a=x%0", "a=12345678"};
    char value[8];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(query_get(bad[i], "a", value, sizeof(value)), -EINVAL);
    assert_int_equal(query_get("a=1234567", "a", value, sizeof(value)), 1);
    assert_string_equal(value, "1234567");
}

static void a_plus_in_a_path_stays_one(void **state)
{
    char path[32];
    (void)state;
    assert_int_equal(query_decode_path("/a+b%2fc", 8, path, sizeof(path)), 6);
    assert_string_equal(path, "/a+b/c");
    assert_int_equal(query_decode_path("/a%2", 4, path, sizeof(path)), -EINVAL);
}

static void numbers_are_digits_up_to_a_limit(void **state)
{
    uint64_t value = 7;
    (void)state;
    assert_true(query_unsigned("0", 3, &value));
    assert_int_equal(value, 0);
    assert_true(query_unsigned("3", 3, &value));
    assert_int_equal(value, 3);
    assert_true(query_unsigned("18446744073709551615", UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    value = 7;
    static const char *const bad[] = {"", "4", "9", "10", "03x", "-1", "+1", " 1", "1 ", "0x1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(query_unsigned(bad[i], 3, &value));
    assert_false(query_unsigned("18446744073709551616", UINT64_MAX, &value));
    assert_false(query_unsigned("99999999999999999999999", UINT64_MAX, &value));
    assert_int_equal(value, 7);
}

static void spans_of_time_are_read_as_go_writes_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"90", 90000000000},
        {"1.5", 1500000000},
        {"90s", 90000000000},
        {"5m", 300000000000},
        {"1h30m", 5400000000000},
        {"250ms", 250000000},
        {"1.5h", 5400000000000},
        {".5s", 500000000},
        {"3us", 3000},
        {"3\xc2\xb5s", 3000},
        {"3\xce\xbcs", 3000},
        {"7ns", 7},
        {"1h2m3s4ms", 3723004000000},
        {"0.0000000000000000000001s", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t ns = 1;
        assert_true(query_duration(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
}

static void what_is_no_span_of_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "s",
        "-5s",
        "5x",
        "5s5",
        "1h 2m",
        ".",
        ".s",
        "5 s",
        "1e3s",
        "999999999h",
        "9223372036854775808ns",
        "99999999999999999999",
        "9223372037s",
    };
    uint64_t ns = 7;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(query_duration(bad[i], &ns));
    assert_int_equal(ns, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_value_of_a_name_is_taken_and_decoded),
        cmocka_unit_test(a_name_is_found_whole_or_not_at_all),
        cmocka_unit_test(bad_encoding_nul_and_too_long_values_are_refused),
        cmocka_unit_test(a_plus_in_a_path_stays_one),
        cmocka_unit_test(numbers_are_digits_up_to_a_limit),
        cmocka_unit_test(spans_of_time_are_read_as_go_writes_them),
        cmocka_unit_test(what_is_no_span_of_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
