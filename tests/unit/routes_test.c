// What is answered to which request, whatever carries it.

#include "answers/host.h"
#include "answers/query.h"
#include "answers/routes.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct reply reply;

static void ask(const char *method, const char *target)
{
    struct request request = {.method = method, .target = target};
    reply_release(&reply);
    routes_answer(&request, &reply);
}

static int release(void **state)
{
    (void)state;
    reply_release(&reply);
    return 0;
}

// The body as a string.
static const char *body(void)
{
    static char text[1 << 20];
    size_t length = 0;
    ssize_t got;
    while ((got = body_read(&reply.body, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)got;
    assert_int_equal(got, 0);
    text[length] = '\0';
    return text;
}

static void every_profile_is_answered_in_its_form(void **state)
{
    static const struct {
        const char *target;
        const char *type;
        const char *filename;
    } good[] = {
        {"/debug/pprof/", "text/html; charset=utf-8", NULL},
        {"/debug/pprof/goroutine", "application/octet-stream", "goroutine"},
        {"/debug/pprof/task", "application/octet-stream", "goroutine"},
        {"/debug/pprof/goroutine?debug=0", "application/octet-stream", "goroutine"},
        {"/debug/pprof/goroutine?debug=1", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/goroutine?debug=2", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/goroutine?limit=&state=&min_wait&channel=&files=",
         "application/octet-stream", "goroutine"},
        {"/debug/pprof/goroutine?debug=3", "application/octet-stream", "goroutine"},
        {"/debug/pprof/channel", "application/octet-stream", "channel"},
        {"/debug/pprof/channel?debug=1&seconds=x", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/channel?debug=1&limit=0&channel=x", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/channel?limit=&channel=", "application/octet-stream", "channel"},
        {"/debug/pprof/threadcreate", "application/octet-stream", "threadcreate"},
        {"/debug/pprof/threadcreate?debug=1", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/cmdline", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/symbol", "text/plain; charset=utf-8", NULL},
        {"/debug/pprof/gorout%69ne?debug=%31", "text/plain; charset=utf-8", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ask("GET", good[i].target);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.type, good[i].type);
        assert_false(reply.error);
        if (good[i].filename)
            assert_string_equal(reply.filename, good[i].filename);
        else
            assert_null(reply.filename);
        assert_true(reply.body.read || body_length(&reply.body) > 0);
    }
}

static void every_error_is_text_that_go_tool_pprof_shows(void **state)
{
    static const struct {
        const char *method;
        const char *target;
        unsigned status;
    } bad[] = {
        {"GET", "/debug/pprof/nonsense", 404},
        {"GET", "/debug/pprof/heap", 404},
        {"GET", "/debug/pprof/goroutine/", 404},
        {"GET", "/debug/pprof//goroutine", 404},
        {"GET", "/nonsense", 404},
        {"GET", "*", 404},
        {"GET", "/debug/pprof/%", 400},
        {"GET", "/debug/pprof/goroutine%00", 400},
        {"GET", "/debug/pprof/goroutine?debug=x", 400},
        {"GET", "/debug/pprof/goroutine?seconds=1&debug=2", 400},
        {"GET", "/debug/pprof/goroutine?limit=7", 400},
        {"GET", "/debug/pprof/goroutine?state=&channel=orders", 400},
        {"GET", "/debug/pprof/channel?debug=1&limit=-1", 400},
        {"GET", "/debug/pprof/channel?debug=1&channel=%00", 400},
        {"GET", "/debug/pprof/channel?limit=1", 400},
        {"POST", "/debug/pprof/goroutine", 405},
        {"get", "/debug/pprof/goroutine", 405},
        {"OPTIONS", "*", 405},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ask(bad[i].method, bad[i].target);
        assert_int_equal(reply.status, bad[i].status);
        assert_true(reply.error && reply.sized);
        assert_string_equal(reply.type, "text/plain; charset=utf-8");
        size_t length = body_length(&reply.body);
        assert_int_equal(strlen(body()), length);
        assert_true(length > 20);
    }
}

static void a_target_is_as_long_as_allowed_and_no_longer(void **state)
{
    static char target[QUERY_MAX + 2];
    (void)state;
    memset(target, 'a', QUERY_MAX + 1);
    memcpy(target, "/debug/pprof/cmdline?", 21);
    ask("GET", target);
    assert_int_equal(reply.status, 414);
    target[QUERY_MAX] = '\0';
    ask("GET", target);
    assert_int_equal(reply.status, 200);
}

static void the_host_is_checked_before_anything_else(void **state)
{
    const struct host_rule rule = {.address = "127.0.0.1"};
    struct request request = {
        .method = "GET", .target = "/nonsense", .host = "evil.example", .hosts = &rule};
    (void)state;
    reply_release(&reply);
    routes_answer(&request, &reply);
    assert_int_equal(reply.status, 403);
    assert_non_null(strstr(body(), "TASKPROF_HOSTS"));

    // The name in the target counts, not the header beside it.
    request.target = "http://evil.example/debug/pprof/cmdline";
    request.host = "localhost";
    reply_release(&reply);
    routes_answer(&request, &reply);
    assert_int_equal(reply.status, 403);
    request.target = "HTTP://LOCALHOST:1/debug/pprof/cmdline";
    reply_release(&reply);
    routes_answer(&request, &reply);
    assert_int_equal(reply.status, 200);

    request.host = NULL;
    request.target = "/debug/pprof/cmdline";
    reply_release(&reply);
    routes_answer(&request, &reply);
    assert_int_equal(reply.status, 403);
    request.http_1_0 = true;
    reply_release(&reply);
    routes_answer(&request, &reply);
    assert_int_equal(reply.status, 200);
}

static void a_body_is_taken_by_symbol_alone(void **state)
{
    struct request request = {.method = "GET", .target = "/debug/pprof/symbol"};
    (void)state;
    reply_release(&reply);
    assert_false(routes_takes_body(&request, &reply));
    assert_int_equal(reply.status, 400);
    request.method = "POST";
    reply_release(&reply);
    assert_true(routes_takes_body(&request, &reply));
    request.target = "/debug/pprof/goroutine";
    assert_false(routes_takes_body(&request, &reply));
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply.allow, "GET, HEAD");
}

// A function with a name to be found.
__attribute__((noinline)) void routes_test_landmark(void);
void routes_test_landmark(void)
{
    __asm__ volatile("");
}

static void symbols_are_named_and_nonsense_is_skipped(void **state)
{
    char asked[256];
    char line[128];
    unsigned long at = (unsigned long)(uintptr_t)routes_test_landmark;
    int length = snprintf(asked, sizeof(asked),
                          "0x%lx+zz+0x+0xffffffffffffffff+"
                          "0x10000000000000000+%lx+0x0",
                          at, at);
    struct request request = {.method = "POST",
                              .target = "/debug/pprof/symbol",
                              .body = asked,
                              .body_length = (size_t)length};
    (void)state;
    reply_release(&reply);
    routes_answer(&request, &reply);
    snprintf(line, sizeof(line),
             "num_symbols: 1\n0x%lx routes_test_landmark\n0x%lx routes_test_landmark\n", at, at);
    assert_string_equal(body(), line);
}

static void a_delta_is_answered_when_its_time_is_over(void **state)
{
    static unsigned char plain[1 << 20];
    (void)state;
    ask("GET", "/debug/pprof/goroutine?seconds=3600&seconds=x");
    assert_int_equal(reply.wait_s, 3600);
    assert_non_null(reply.before);
    routes_answer_later(&reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.filename, "goroutine-delta");
    assert_int_equal(reply.wait_s, 0);
    static char packed[1 << 20];
    ssize_t got;
    size_t length = 0;
    while ((got = body_read(&reply.body, packed + length, 1000)) > 0)
        length += (size_t)got;
    z_stream unzip = {.next_in = (Bytef *)packed,
                      .avail_in = (uInt)length,
                      .next_out = plain,
                      .avail_out = sizeof(plain)};
    assert_int_equal(inflateInit2(&unzip, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&unzip, Z_FINISH), Z_STREAM_END);
    inflateEnd(&unzip);
}

static void a_delta_that_nobody_waits_for_gives_back_its_snapshot(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        ask("GET", "/debug/pprof/goroutine?seconds=1");
    assert_non_null(reply.before);
    reply_release(&reply);
    assert_null(reply.before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_profile_is_answered_in_its_form, release),
        cmocka_unit_test_teardown(every_error_is_text_that_go_tool_pprof_shows, release),
        cmocka_unit_test_teardown(a_target_is_as_long_as_allowed_and_no_longer, release),
        cmocka_unit_test_teardown(the_host_is_checked_before_anything_else, release),
        cmocka_unit_test_teardown(a_body_is_taken_by_symbol_alone, release),
        cmocka_unit_test_teardown(symbols_are_named_and_nonsense_is_skipped, release),
        cmocka_unit_test_teardown(a_delta_is_answered_when_its_time_is_over, release),
        cmocka_unit_test_teardown(a_delta_that_nobody_waits_for_gives_back_its_snapshot, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
