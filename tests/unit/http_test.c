// taskprof_start, stop, write: what they promise their caller.

#include "tests/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static struct taskprof_options any_port(void)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = "127.0.0.1:0";
    return options;
}

static void starting_twice_is_refused_and_names_the_endpoint(void **state)
{
    struct taskprof_options options = any_port();
    (void)state;
    assert_string_equal(taskprof_address(), "");
    assert_int_equal(taskprof_start(&options), 0);
    assert_true(strncmp(taskprof_address(), "127.0.0.1:", 10) == 0);
    assert_int_not_equal(strtol(taskprof_address() + 10, NULL, 10), 0);
    assert_int_equal(taskprof_start(&options), -EALREADY);
    assert_non_null(strstr(taskprof_start_error(), taskprof_address()));
    assert_int_equal(taskprof_stop(), 0);
    assert_int_equal(taskprof_stop(), -EALREADY);
    assert_string_equal(taskprof_address(), "");
}

static void it_starts_and_stops_again_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct taskprof_options options = any_port();
        assert_int_equal(taskprof_start(&options), 0);
        assert_int_equal(taskprof_stop(), 0);
    }
    // Nothing was left open by them.
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd < 40);
    close(fd);
}

static void a_failed_start_leaves_nothing_running(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    (void)state;
    options.http = "nowhere";
    assert_int_equal(taskprof_start(&options), -EINVAL);
    assert_non_null(strstr(taskprof_start_error(), "options.http=\"nowhere\""));
    assert_int_equal(taskprof_stop(), -EALREADY);

    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(taken, 1), 0);
    getsockname(taken, (struct sockaddr *)&address, &length);
    char where[32];
    snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(address.sin_port));
    options.http = where;
    assert_int_equal(taskprof_start(&options), -EADDRINUSE);
    assert_non_null(strstr(taskprof_start_error(), where));
    assert_int_equal(taskprof_stop(), -EALREADY);
    close(taken);
    assert_int_equal(taskprof_start(&options), 0);
    assert_int_equal(taskprof_stop(), 0);
}

static void errno_is_left_alone(void **state)
{
    struct taskprof_options options = any_port();
    (void)state;
    errno = 12345;
    taskprof_start(&options);
    taskprof_start(&options);
    taskprof_write(-1, "goroutine", NULL);
    taskprof_write(-1, "nonsense", NULL);
    taskprof_stop();
    assert_int_equal(errno, 12345);
}

// How many of taskprof's own threads there are; false in *ret_blocked if one of them takes signals.
static unsigned own_threads(bool *ret_blocked)
{
    char path[300];
    char text[4096];
    unsigned own = 0;
    *ret_blocked = true;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *thread; (thread = readdir(threads));) {
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        size_t length = fread(text, 1, sizeof(text) - 1, file);
        text[length] = '\0';
        fclose(file);
        if (!strstr(text, "Name:\ttaskprof-"))
            continue;
        own++;
        unsigned long long mask = strtoull(strstr(text, "SigBlk:") + 7, NULL, 16);
        static const int signals[] = {SIGPIPE, SIGTERM, SIGPROF, SIGUSR1};
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
            *ret_blocked &= (mask >> (signals[i] - 1)) & 1;
    }
    closedir(threads);
    return own;
}

static void signals_never_reach_its_threads(void **state)
{
    struct taskprof_options options = any_port();
    bool blocked;
    (void)state;
    assert_int_equal(taskprof_start(&options), 0);
    // A thread names itself when it begins to run.
    eventually(own_threads(&blocked) >= 2);
    assert_true(blocked);
    assert_int_equal(taskprof_stop(), 0);
}

static void write_is_what_get_would_answer(void **state)
{
    char text[65536];
    FILE *file = tmpfile();
    (void)state;
    assert_int_equal(taskprof_write(fileno(file), "goroutine", "debug=2"), 0);
    rewind(file);
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';
    assert_true(strncmp(text, "goroutine ", 10) == 0);
    assert_non_null(strstr(text, "write_is_what_get_would_answer("));
    fclose(file);
}

static void write_refuses_what_get_would(void **state)
{
    (void)state;
    assert_int_equal(taskprof_write(STDERR_FILENO, "nonsense", NULL), -EINVAL);
    assert_int_equal(taskprof_write(STDERR_FILENO, "", NULL), -EINVAL);
    assert_int_equal(taskprof_write(STDERR_FILENO, NULL, NULL), -EINVAL);
    assert_int_equal(taskprof_write(STDERR_FILENO, "../pprof/goroutine", NULL), -EINVAL);
    assert_int_equal(taskprof_write(STDERR_FILENO, "goroutine?debug=1", NULL), -EINVAL);
    assert_int_equal(taskprof_write(STDERR_FILENO, "goroutine", "debug=7"), -EINVAL);
    assert_int_equal(taskprof_write(-1, "goroutine", NULL), -EBADF);
}

static void a_refused_write_says_what_would_be_right(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    static char query[10000];
    (void)state;
    taskprof_write(STDERR_FILENO, "goroutine", "debug=2&limit=none");
    assert_string_equal(taskprof_start_error(), "limit= must be a positive integer: limit=100");
    taskprof_write(STDERR_FILENO, "nonsense", NULL);
    assert_non_null(strstr(taskprof_start_error(), "Unknown profile"));
    assert_non_null(strstr(taskprof_start_error(), "threadcreate"));
    taskprof_write(STDERR_FILENO, "goroutine?debug=1", NULL);
    assert_non_null(strstr(taskprof_start_error(), "\"debug=2\""));
    taskprof_write(-1, "goroutine", NULL);
    assert_non_null(strstr(taskprof_start_error(), "Bad file descriptor"));
    memset(query, 'a', sizeof(query) - 1);
    assert_int_equal(taskprof_write(STDERR_FILENO, "goroutine", query), -EINVAL);
    assert_non_null(strstr(taskprof_start_error(), "longer than 8178 bytes"));
    // As long as may be, it is answered.
    query[8178 - strlen("goroutine")] = '\0';
    FILE *file = tmpfile();
    assert_int_equal(taskprof_write(fileno(file), "goroutine", query), 0);
    fclose(file);
    // The next failure of either function takes its place.
    options.http = "nowhere";
    taskprof_start(&options);
    assert_non_null(strstr(taskprof_start_error(), "nowhere"));
}

static void write_to_a_closed_pipe_is_an_error_and_no_signal(void **state)
{
    int ends[2];
    sigset_t before;
    sigset_t after;
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    // The default action of SIGPIPE would end this test.
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(taskprof_write(ends[1], "goroutine", "debug=1"), -EPIPE);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    close(ends[1]);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(taskprof_error_text(-EADDRINUSE), "the port is taken");
    assert_string_equal(taskprof_error_text(-EBADF), "Bad file descriptor");
    assert_string_equal(taskprof_error_text(-100000), "unknown error");
    assert_string_equal(taskprof_error_text(1), "unknown error");
}

static char any_thread; // what a thread that fails returns

static void *start_and_stop(void *argument)
{
    for (int i = 0; i < 20; i++) {
        struct taskprof_options options = any_port();
        int result = taskprof_start(&options);
        if (result != 0 && result != -EALREADY)
            return argument;
        result = taskprof_stop();
        if (result != 0 && result != -EALREADY)
            return argument;
    }
    return NULL;
}

static void threads_may_start_and_stop_at_the_same_time(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_and_stop, &any_thread), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    taskprof_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_twice_is_refused_and_names_the_endpoint),
        cmocka_unit_test(it_starts_and_stops_again_and_again),
        cmocka_unit_test(a_failed_start_leaves_nothing_running),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(signals_never_reach_its_threads),
        cmocka_unit_test(write_is_what_get_would_answer),
        cmocka_unit_test(write_refuses_what_get_would),
        cmocka_unit_test(a_refused_write_says_what_would_be_right),
        cmocka_unit_test(write_to_a_closed_pipe_is_an_error_and_no_signal),
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(threads_may_start_and_stop_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
