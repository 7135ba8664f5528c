// orders: a small order service on threads, with leaks that can be switched on.
//
//     orders --leak early-return,consumer-pool --rate 5
//     go tool pprof http://127.0.0.1:6060/debug/pprof/goroutine

#include "../leaks/options.h"
#include "load.h"
#include "pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static const struct patterns patterns = {
    .list = {&pattern_early_return, &pattern_timeout_abandons_sender, &pattern_range_without_close,
             &pattern_consumer_pool, &pattern_stream_not_half_closed, &pattern_cancel_not_heard,
             &pattern_close_twice, &pattern_send_after_close},
    .count = 8,
};

static const struct program program = {
    .name = "orders",
    .about = "An order service on threads that leaks on request, for taskprof to find.",
    .patterns = &patterns,
};

enum { LEAKED_STACK = 128 * 1024 }; // small: thousands of them are to be leaked

int spawn(void *(*start)(void *), void *argument)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, LEAKED_STACK);
    pthread_t thread;
    error = taskprof_pthread_create(&thread, &attributes, start, argument);
    pthread_attr_destroy(&attributes);
    return -error;
}

void nap(unsigned milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000L};
    taskprof_park(TASKPROF_SLEEP, NULL);
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    taskprof_unpark();
}

// Every leaked stream keeps two descriptors.
static void allow_many_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// Blocks the signals that end the program, for this thread and all that it will start.
static void block_signals(sigset_t *ret_signals)
{
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGINT);
    sigaddset(ret_signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
}

// The main task waits for a signal: parked as long as the service lives, and no leak.
static void wait_for_end(const sigset_t *signals, unsigned duration)
{
    struct timespec left = {.tv_sec = duration};
    taskprof_park(TASKPROF_SIGNAL_WAIT, NULL);
    while (sigtimedwait(signals, NULL, duration ? &left : NULL) < 0 && errno == EINTR)
        ;
    taskprof_unpark();
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "orders: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = options_parse(&program, argc, argv, &options);
    if (status >= 0)
        return status;
    allow_many_descriptors();
    sigset_t signals;
    block_signals(&signals);

    // All that a program has to do to be profiled.
    struct taskprof_options profiler = TASKPROF_OPTIONS_INIT;
    profiler.http = options.http;
    if (taskprof_start(&profiler) < 0)
        return fail("no profiles", taskprof_start_error());
    taskprof_task_begin("main");

    taskprof_chan *stop;
    int error = taskprof_chan_make(0, 0, "stop", &stop);
    if (error == 0)
        error = pipeline_start();
    if (error == 0)
        error = load_start(stop);
    if (error == 0)
        error = leaks_start(&options, stop);
    if (error < 0)
        return fail("can't start", taskprof_error_text(error));

    if (taskprof_address()[0])
        printf("ready http://%s/debug/pprof/\n", taskprof_address());
    else
        printf("ready, without an endpoint\n");
    fflush(stdout);

    wait_for_end(&signals, options.duration);

    taskprof_chan_close(stop);
    load_join();
    leaks_wait();
    leaks_report();
    printf("shipped %" PRIu64 " orders\n", pipeline_stop());
    taskprof_stop(); // the leaked threads are still there: the process ends all the same
    return 0;
}
