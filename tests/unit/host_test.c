// Which Host headers are answered: never one that a web page's owner can choose.

#include "answers/host.h"
#include "tests/test.h"

#include <string.h>

static const struct host_rule loopback = {.address = "127.0.0.1"};

static void loopback_names_and_addresses_are_answered_with_any_port(void **state)
{
    static const char *const good[] = {
        "localhost",
        "localhost:6060",
        "LocalHost:1",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:6060",
        "127.8.9.10:80",
        "[::1]",
        "[::1]:6060",
        "localhost:",
        "[0:0:0:0:0:0:0:1]:6060",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(host_allowed(&loopback, good[i]));
}

static void other_names_and_malformed_headers_are_not(void **state)
{
    static const char *const bad[] = {
        "",
        ":6060",
        "evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "127.0.0.1.evil.example",
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "10.0.0.1:6060",
        "[::2]:6060",
        "::1",
        "[::1",
        "[::1]x",
        "[]",
        "[127.0.0.1]",
        "localhost:606060",
        "localhost:6o6o",
        "localhost:80:80",
        "localhost evil",
        "user@localhost",
        "localhost/",
        ".",
        "*",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(host_allowed(&loopback, bad[i]));
    char longest[400];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(host_allowed(&loopback, longest));
}

static void the_address_listened_on_is_answered(void **state)
{
    const struct host_rule v4 = {.address = "10.1.2.3"};
    const struct host_rule v6 = {.address = "fd00::7"};
    (void)state;
    assert_true(host_allowed(&v4, "10.1.2.3:6060"));
    assert_false(host_allowed(&v4, "10.1.2.4:6060"));
    assert_true(host_allowed(&v6, "[fd00:0::7]:6060"));
    assert_false(host_allowed(&v6, "[fd00::8]:6060"));
}

static void a_wildcard_listener_answers_addresses_but_no_names(void **state)
{
    const struct host_rule all = {.wildcard = true};
    (void)state;
    assert_true(host_allowed(&all, "192.168.7.9:6060"));
    assert_true(host_allowed(&all, "[2001:db8::1]"));
    assert_false(host_allowed(&all, "server.example:6060"));
}

static void configured_names_are_answered_and_a_star_answers_all(void **state)
{
    const struct host_rule named = {.names = "a.example, B.example,[fd00::1]"};
    const struct host_rule any = {.names = "a.example,*"};
    (void)state;
    assert_true(host_allowed(&named, "a.example:6060"));
    assert_true(host_allowed(&named, "b.EXAMPLE"));
    assert_true(host_allowed(&named, "[fd00::1]:6060"));
    assert_false(host_allowed(&named, "c.example"));
    assert_false(host_allowed(&named, "example"));
    assert_false(host_allowed(&named, "a.example, B.example"));
    assert_true(host_allowed(&any, "whatever.example"));
}

static void lists_of_names_are_checked_before_they_are_used(void **state)
{
    char longest[HOST_NAMES_MAX + 1];
    (void)state;
    assert_true(host_names_valid(""));
    assert_true(host_names_valid("*"));
    assert_true(host_names_valid("a.example, b-c.example,[::1]"));
    assert_false(host_names_valid("a.example;b"));
    assert_false(host_names_valid("http://a.example"));
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(host_names_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_names_and_addresses_are_answered_with_any_port),
        cmocka_unit_test(other_names_and_malformed_headers_are_not),
        cmocka_unit_test(the_address_listened_on_is_answered),
        cmocka_unit_test(a_wildcard_listener_answers_addresses_but_no_names),
        cmocka_unit_test(configured_names_are_answered_and_a_star_answers_all),
        cmocka_unit_test(lists_of_names_are_checked_before_they_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
