// The life of the library: which of its parts run. Its public side is <taskprof/taskprof.h>.

#include "http/front.h"
#include "profiler/base/lock.h"
#include "profiler/base/own_fd.h"
#include "profiler/described/described.h"
#include "profiler/symbols/symbols.h"
#include "profiler/tasks/fork.h"
#include "service/errors.h"
#include "service/options.h"
#include "service/recorder.h"

#include <errno.h>

static struct lock lock = LOCK_INIT; // guards all below
static bool running;
static struct front *front; // NULL while running: no endpoint ("off")
static char address[OPTIONS_ADDRESS_TEXT];

static int explain(int error, const struct settings *settings)
{
    const char *where = settings->where[0] ? settings->where : "TASKPROF_HTTP";
    switch (error) {
    case 0:
        break;
    case -EADDRINUSE:
        errors_set("%s: the port is taken. Choose another with TASKPROF_HTTP (options.http), or 0 "
                   "for a free one",
                   where);
        break;
    case -EADDRNOTAVAIL:
        errors_set("%s: no interface of this machine has that address. 127.0.0.1 is always there, "
                   "0.0.0.0 is all of them",
                   where);
        break;
    case -EACCES:
        errors_set("%s: no permission to listen there. Ports below 1024 need CAP_NET_BIND_SERVICE; "
                   "choose a higher one with TASKPROF_HTTP (options.http)",
                   where);
        break;
    default:
        errors_set("%s: %s", where, taskprof_error_text(error));
    }
    return error;
}

static int start_symbols(struct settings *settings)
{
    return explain(symbols_start(), settings);
}

static int start_described(struct settings *settings)
{
    return explain(described_start(settings->channels), settings);
}

static int start_recorder(struct settings *settings)
{
    int result = settings->snapshots[0] ? recorder_start(settings) : 0;
    if (result < 0)
        errors_set("the folder for snapshots, %s: %s", settings->snapshots,
                   taskprof_error_text(result));
    return result;
}

static int start_front(struct settings *settings)
{
    if (settings->off)
        return 0;
    int result = front_start(&settings->http, &front);
    if (result == 0)
        options_address_text(&settings->http.address, address);
    return explain(result, settings);
}

static void stop_front(void)
{
    if (front)
        front_stop(&front);
}

// In the order of their start; they stop in the opposite one. `start` returns 0, or a negative
// errno that it has explained. `stop` does nothing for one that settings left out.
static const struct {
    int (*start)(struct settings *settings);
    void (*stop)(void);
} parts[] = {
    {start_symbols, symbols_stop},
    {start_described, described_stop},
    {start_recorder, recorder_stop},
    {start_front, stop_front},
};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static void stop_parts(unsigned count)
{
    while (count)
        parts[--count].stop();
}

// In the child of a fork: closes the sockets that it inherited and forgets the threads, which it
// has not. taskprof_start then works anew.
static void after_fork(void)
{
    lock_reset(&lock);
    if (front)
        front_forget(front);
    recorder_after_fork();
    own_fd_forget_all();
    front = NULL;
    running = false;
    address[0] = '\0';
}

static int start_locked(const struct taskprof_options *options)
{
    struct settings settings;
    if (running) {
        errors_set("taskprof was started already in this process%s%s; call taskprof_stop first",
                   address[0] ? ", on " : "", address);
        return -EALREADY;
    }
    int result = options_read(options, &settings, errors_last());
    for (unsigned i = 0; i < PARTS && result == 0; i++) {
        result = parts[i].start(&settings);
        if (result < 0)
            stop_parts(i);
    }
    if (result < 0)
        return result;
    fork_child_hook(after_fork);
    running = true;
    if (settings.warm_up)
        symbols_warm_up();
    return 0;
}

int taskprof_start(const struct taskprof_options *options)
{
    int saved = errno;
    lock_acquire(&lock);
    int result = start_locked(options);
    lock_release(&lock);
    errno = saved;
    return result;
}

const char *taskprof_address(void)
{
    return address;
}

int taskprof_stop(void)
{
    int saved = errno;
    int result = -EALREADY;
    lock_acquire(&lock);
    if (running) {
        stop_parts(PARTS);
        running = false;
        address[0] = '\0';
        result = 0;
    }
    lock_release(&lock);
    errno = saved;
    return result;
}
