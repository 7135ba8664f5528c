// What taskprof_start is told: options before the environment before defaults, and errors that say
// what would be right.

#include "service/options.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct settings settings;
static char error[ERRORS_TEXT_MAX];

static int forget_environment(void **state)
{
    (void)state;
    unsetenv("TASKPROF_HTTP");
    unsetenv("TASKPROF_HOSTS");
    unsetenv("TASKPROF_MAX_CONNECTIONS");
    unsetenv("TASKPROF_CLIENT_TIMEOUT");
    unsetenv("TASKPROF_WARM_UP");
    return 0;
}

static const char *address_for(const char *http)
{
    static char text[OPTIONS_ADDRESS_TEXT];
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = http;
    assert_int_equal(options_read(&options, &settings, error), 0);
    options_address_text(&settings.http.address, text);
    return text;
}

static void every_form_of_address_is_understood(void **state)
{
    (void)state;
    assert_string_equal(address_for("127.0.0.1:6060"), "127.0.0.1:6060");
    assert_string_equal(address_for("localhost:7"), "127.0.0.1:7");
    assert_string_equal(address_for(":7070"), "127.0.0.1:7070");
    assert_string_equal(address_for("7070"), "127.0.0.1:7070");
    assert_string_equal(address_for("0"), "127.0.0.1:0");
    assert_string_equal(address_for("[::1]:8080"), "[::1]:8080");
    assert_string_equal(address_for("0.0.0.0:65535"), "0.0.0.0:65535");
    assert_true(settings.http.hosts.wildcard);
    assert_string_equal(address_for("[::]:1"), "[::]:1");
    assert_true(settings.http.hosts.wildcard);
    assert_string_equal(address_for("10.1.2.3:1"), "10.1.2.3:1");
    assert_false(settings.http.hosts.wildcard);
    assert_string_equal(settings.http.hosts.address, "10.1.2.3");
    assert_false(settings.off);
}

static void off_starts_no_endpoint(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    (void)state;
    options.http = "off";
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_true(settings.off);
}

static void symbols_are_warmed_up_unless_that_is_switched_off(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    (void)state;
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_true(settings.warm_up);
    options.warm_up = "off";
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_false(settings.warm_up);
    setenv("TASKPROF_WARM_UP", "off", 1);
    assert_int_equal(options_read(NULL, &settings, error), 0);
    assert_false(settings.warm_up);
    options.warm_up = "on";
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_true(settings.warm_up);
}

static void bad_addresses_are_named_with_what_would_be_right(void **state)
{
    static const char *const bad[] = {
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:x",
        "server.example:1",
        "::1:6060",
        "[::1]",
        "[::1]6060",
        "[::1:6060",
        "[]:6060",
        "300.1.1.1:1",
        "x",
        " ",
        "1.2.3.4:5:6",
        "http://127.0.0.1:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct taskprof_options options = TASKPROF_OPTIONS_INIT;
        options.http = bad[i];
        assert_int_equal(options_read(&options, &settings, error), -EINVAL);
        assert_non_null(strstr(error, "options.http=\""));
        assert_non_null(strstr(error, bad[i]));
        assert_non_null(strstr(error, "127.0.0.1:6060"));
    }
}

static void options_come_before_the_environment_and_that_before_defaults(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    (void)state;
    assert_int_equal(options_read(NULL, &settings, error), 0);
    assert_int_equal(settings.http.max_connections, 32);
    assert_int_equal(settings.http.client_timeout_s, 30);
    assert_string_equal(settings.http.hosts.names, "");
    char text[OPTIONS_ADDRESS_TEXT];
    options_address_text(&settings.http.address, text);
    assert_string_equal(text, "127.0.0.1:6060");

    setenv("TASKPROF_HTTP", ":7", 1);
    setenv("TASKPROF_HOSTS", "a.example", 1);
    setenv("TASKPROF_MAX_CONNECTIONS", "1024", 1);
    setenv("TASKPROF_CLIENT_TIMEOUT", "5", 1);
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_int_equal(settings.http.max_connections, 1024);
    assert_int_equal(settings.http.client_timeout_s, 5);
    assert_string_equal(settings.http.hosts.names, "a.example");
    options_address_text(&settings.http.address, text);
    assert_string_equal(text, "127.0.0.1:7");

    options.http = ":8";
    options.hosts = "b.example";
    options.max_connections = 2;
    options.client_timeout_s = 3;
    assert_int_equal(options_read(&options, &settings, error), 0);
    assert_int_equal(settings.http.max_connections, 2);
    assert_int_equal(settings.http.client_timeout_s, 3);
    assert_string_equal(settings.http.hosts.names, "b.example");
    options_address_text(&settings.http.address, text);
    assert_string_equal(text, "127.0.0.1:8");
}

static void bad_environment_values_are_named(void **state)
{
    static const char *const bad[][2] = {
        {"TASKPROF_HTTP", "nowhere"},         {"TASKPROF_HOSTS", "http://x"},
        {"TASKPROF_MAX_CONNECTIONS", "0"},    {"TASKPROF_MAX_CONNECTIONS", "1025"},
        {"TASKPROF_MAX_CONNECTIONS", "many"}, {"TASKPROF_CLIENT_TIMEOUT", "0"},
        {"TASKPROF_CLIENT_TIMEOUT", "30s"},   {"TASKPROF_WARM_UP", "1"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        forget_environment(state);
        setenv(bad[i][0], bad[i][1], 1);
        assert_int_equal(options_read(NULL, &settings, error), -EINVAL);
        assert_non_null(strstr(error, bad[i][0]));
        assert_non_null(strstr(error, bad[i][1]));
    }
}

static void a_shorter_struct_of_an_older_header_is_taken(void **state)
{
    struct {
        size_t size;
        const char *http;
        const char *garbage;
    } older = {sizeof(size_t) + sizeof(char *), ":9", (const char *)1};
    (void)state;
    assert_int_equal(options_read((const struct taskprof_options *)&older, &settings, error), 0);
    older.size = 0;
    assert_int_equal(options_read((const struct taskprof_options *)&older, &settings, error),
                     -EINVAL);
    assert_non_null(strstr(error, "TASKPROF_OPTIONS_INIT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_form_of_address_is_understood, forget_environment),
        cmocka_unit_test_setup(off_starts_no_endpoint, forget_environment),
        cmocka_unit_test_setup(symbols_are_warmed_up_unless_that_is_switched_off,
                               forget_environment),
        cmocka_unit_test_setup(bad_addresses_are_named_with_what_would_be_right,
                               forget_environment),
        cmocka_unit_test_setup(options_come_before_the_environment_and_that_before_defaults,
                               forget_environment),
        cmocka_unit_test_setup(bad_environment_values_are_named, forget_environment),
        cmocka_unit_test_setup(a_shorter_struct_of_an_older_header_is_taken, forget_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
