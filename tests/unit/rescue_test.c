// The responder of last resort: it answers what it can read, refuses the rest, and waits for nobody
// for ever.

#include "http/rescue.h"
#include "profiler/base/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct host_rule rule = {.address = "127.0.0.1"};

struct serving {
    pthread_t thread;
    int fd;
    int stop;
    const char *refuse; // NULL: serve
};

static void *serve(void *argument)
{
    struct serving *serving = argument;
    if (serving->refuse)
        rescue_refuse(serving->fd, serving->stop, serving->refuse);
    else
        rescue_serve(serving->fd, &rule, serving->stop, "this is a test");
    return NULL;
}

// Starts serving one end of a pair of sockets; the other end is the client's.
static int start(struct serving *serving, const char *refuse)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    serving->fd = ends[0];
    serving->refuse = refuse;
    serving->stop = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pthread_create(&serving->thread, NULL, serve, serving), 0);
    return ends[1];
}

static void end(struct serving *serving)
{
    pthread_join(serving->thread, NULL);
    close(serving->stop);
}

// The answer to a request, up to the end of the stream.
static const char *answer_to(const char *request, size_t length, const char *refuse)
{
    static char answer[1 << 20];
    struct serving serving;
    int client = start(&serving, refuse);
    // The server may have had enough before all is sent.
    ssize_t sent = send(client, request, length, MSG_NOSIGNAL);
    assert_true(sent > 0 || length == 0);
    shutdown(client, SHUT_WR);
    size_t have = 0;
    ssize_t got;
    while ((got = read(client, answer + have, sizeof(answer) - 1 - have)) > 0)
        have += (size_t)got;
    answer[have] = '\0';
    close(client);
    end(&serving);
    return answer;
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const char *answer(const char *request)
{
    return answer_to(request, strlen(request), NULL);
}

static void a_get_is_answered_and_the_connection_closed(void **state)
{
    (void)state;
    const char *text = answer("GET /debug/pprof/goroutine?debug=2 HTTP/1.1\r\nHost: localhost\r\n"
                              "Accept: */*\r\n\r\n");
    assert_true(begins(text, "HTTP/1.1 200 OK\r\nConnection: close\r\n"));
    assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(text, "\r\n\r\ngoroutine "));
    assert_non_null(strstr(text, "\n# "));
}

static void a_head_has_no_body_and_lines_may_end_in_newlines_alone(void **state)
{
    (void)state;
    const char *text = answer("HEAD /debug/pprof/ HTTP/1.0\n\n");
    assert_true(begins(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Length: "));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void what_is_no_request_is_refused(void **state)
{
    static const char *const bad[] = {
        "nonsense\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *text = answer(bad[i]);
        assert_true(begins(text, "HTTP/1.1 400 Bad Request\r\n"));
        assert_non_null(strstr(text, "\r\nX-Go-Pprof: 1\r\n"));
    }
}

static void the_same_rules_hold_as_otherwise(void **state)
{
    (void)state;
    assert_true(begins(answer("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "HTTP/1.1 403 "));
    assert_true(begins(answer("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 403 "));
    assert_true(begins(answer("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 405 "));
    assert_true(begins(answer("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 404 "));
    assert_true(begins(answer("GET / HTTP/1.1\r\nhOST:localhost \r\n\r\n"), "HTTP/1.1 301 "));
}

static void what_can_not_be_had_here_says_why(void **state)
{
    (void)state;
    const char *text =
        answer("GET /debug/pprof/goroutine?seconds=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(begins(text, "HTTP/1.1 503 "));
    assert_non_null(strstr(text, "this is a test: seconds="));
    text =
        answer("POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
               "0x1");
    assert_true(begins(text, "HTTP/1.1 503 "));
}

static void a_head_that_is_too_long_is_refused(void **state)
{
    static char request[20000];
    (void)state;
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET / HTTP/1.1\r\nX: ", 19);
    assert_true(begins(answer_to(request, sizeof(request), 0), "HTTP/1.1 431 "));
}

static void a_head_that_does_not_come_is_not_waited_for_long(void **state)
{
    struct serving serving;
    char text[512] = "";
    (void)state;
    uint64_t began = clock_monotonic_ns();
    int client = start(&serving, NULL);
    assert_int_equal(send(client, "GET", 3, MSG_NOSIGNAL), 3);
    assert_true(read(client, text, sizeof(text) - 1) > 0);
    assert_true(begins(text, "HTTP/1.1 408 "));
    close(client);
    end(&serving);
    assert_true(clock_monotonic_ns() - began < 30000000000u);
}

static void a_client_that_does_not_read_is_left_when_the_server_stops(void **state)
{
    static const char request[] = "GET /debug/pprof/goroutine?debug=2 HTTP/1.0\r\n\r\n";
    struct serving serving;
    int small = 1;
    (void)state;
    int client = start(&serving, NULL);
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(send(client, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    eventfd_write(serving.stop, 1);
    end(&serving);
    close(client);
}

static void a_refusal_names_the_limit_whatever_was_asked(void **state)
{
    (void)state;
    const char *text = answer_to("GET / HTTP/1.1\r\n\r\n", 18, "32 clients are here");
    assert_true(begins(text, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_non_null(strstr(text, "\r\nRetry-After: 1\r\n"));
    assert_non_null(strstr(text, "32 clients are here; try again"));
    assert_true(begins(answer_to("x", 1, "full"), "HTTP/1.1 503 "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_is_answered_and_the_connection_closed),
        cmocka_unit_test(a_head_has_no_body_and_lines_may_end_in_newlines_alone),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(the_same_rules_hold_as_otherwise),
        cmocka_unit_test(what_can_not_be_had_here_says_why),
        cmocka_unit_test(a_head_that_is_too_long_is_refused),
        cmocka_unit_test(a_head_that_does_not_come_is_not_waited_for_long),
        cmocka_unit_test(a_client_that_does_not_read_is_left_when_the_server_stops),
        cmocka_unit_test(a_refusal_names_the_limit_whatever_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
