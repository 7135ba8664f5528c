// fibers: many coroutines of State Threads on one thread, with leaks that can be switched on.
//
//     fibers --fibers 10000 --leak early-return,consumer-pool --rate 5
//     go tool pprof http://127.0.0.1:6060/debug/pprof/goroutine

#include "../leaks/options.h"
#include "fiber.h"

#include <errno.h>
#include <signal.h>
#include <st.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FIBERS_DEFAULT = 1000, REQUESTS_PER_SECOND = 100 };

static const struct patterns patterns = {
    .list = {&pattern_early_return, &pattern_timeout_abandons_sender, &pattern_range_without_close,
             &pattern_consumer_pool, &pattern_cancel_not_heard, &pattern_close_twice,
             &pattern_send_after_close},
    .count = 7,
};

static const struct program program = {
    .name = "fibers",
    .about = "Coroutines of State Threads that leak on request, for taskprof to find.",
    .patterns = &patterns,
    .fibers = FIBERS_DEFAULT,
};

static struct options options;
static taskprof_chan *stop;     // closed when the program is to end
static taskprof_chan *requests; // what the idle fibers wait on; closed when no more will come

int spawn(void *(*start)(void *), void *argument)
{
    return fiber_spawn(start, argument);
}

void nap(unsigned milliseconds)
{
    taskprof_park(TASKPROF_SLEEP, NULL);
    st_usleep(milliseconds * (st_utime_t)1000);
    taskprof_unpark();
}

// Most of the fibers: one of them takes each request, the others are idle, and none is a leak.
static void *serve(void *unused)
{
    taskprof_task_set_name(taskprof_task_self(), "serves");
    int request;
    bool more = false;
    while (taskprof_chan_receive(requests, &request, &more) == 0 && more)
        ;
    return unused;
}

static void *generate_load(void *unused)
{
    taskprof_task_set_name(taskprof_task_self(), "load");
    int request = 0;
    do {
        request++;
        taskprof_chan_send(requests, &request);
    } while (taskprof_chan_timed_receive(stop, NULL, NULL, 1000000000 / REQUESTS_PER_SECOND) != 0);
    taskprof_chan_close(requests);
    return unused;
}

static int start_all(void)
{
    int error = taskprof_chan_make(0, 0, "stop", &stop);
    if (error == 0)
        error = taskprof_chan_make(sizeof(int), 0, "requests", &requests);
    for (unsigned i = 0; i < options.fibers && error == 0; i++)
        error = fiber_spawn(serve, NULL);
    if (error == 0)
        error = fiber_spawn(generate_load, NULL);
    if (error == 0)
        error = leaks_start(&options, stop);
    return error;
}

// The signals that end the program come as a readable descriptor: a handler could interrupt any
// fiber, and this one just waits for it.
static st_netfd_t open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return descriptor < 0 ? NULL : st_netfd_open(descriptor);
}

static void wait_for_end(st_netfd_t signals)
{
    st_utime_t timeout =
        options.duration ? options.duration * (st_utime_t)1000000 : ST_UTIME_NO_TIMEOUT;
    taskprof_park(TASKPROF_SIGNAL_WAIT, NULL);
    st_netfd_poll(signals, POLLIN, timeout);
    taskprof_unpark();
}

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "fibers: %s: %s\n", what, why);
    return 1;
}

static void *run(void *ret_status)
{
    taskprof_task_set_name(taskprof_task_self(), "main fiber");
    int *status = ret_status;
    st_netfd_t signals = open_signals();
    int error = signals ? start_all() : -errno;
    if (error < 0) {
        *status = complain("can't start", taskprof_error_text(error));
        return NULL;
    }
    if (taskprof_address()[0])
        printf("ready http://%s/debug/pprof/\n", taskprof_address());
    else
        printf("ready, without an endpoint\n");
    fflush(stdout);

    wait_for_end(signals);

    taskprof_chan_close(stop);
    leaks_wait();
    leaks_report();
    st_netfd_close(signals);
    return NULL;
}

int main(int argc, char **argv)
{
    int status = options_parse(&program, argc, argv, &options);
    if (status >= 0)
        return status;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); // before the profiler's own threads start

    struct taskprof_options profiler = TASKPROF_OPTIONS_INIT;
    profiler.http = options.http;
    if (taskprof_start(&profiler) < 0)
        return complain("no profiles", taskprof_start_error());
    taskprof_task_begin("main");

    status = 0;
    int error = fibers_init();
    if (error == 0)
        error = fiber_run(run, &status);
    if (error < 0)
        return complain("can't start State Threads", taskprof_error_text(error));
    taskprof_stop(); // the leaked fibers are still there: the process ends all the same
    return status;
}
