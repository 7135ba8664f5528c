// taskprof: a leak profiler for C programs that speaks pprof.
//
//     #include <taskprof/taskprof.h>
//
//     int main(void)
//     {
//         taskprof_start(NULL); // serves http://127.0.0.1:6060/debug/pprof/
//         …
//     }
//
// Then, from outside: `go tool pprof http://127.0.0.1:6060/debug/pprof/goroutine`, or
// `curl 'http://127.0.0.1:6060/debug/pprof/goroutine?debug=2'`.
//
// The headers: this one starts and stops; task.h names tasks and registers coroutines; park.h marks
// waits; chan.h is a channel library; queue.h describes queues of your own.

#pragma once

#include <taskprof/chan.h>
#include <taskprof/park.h>
#include <taskprof/queue.h>
#include <taskprof/task.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) // exported from the library, which hides all else

#define TASKPROF_VERSION "0.1.0"

// How to start. A field that is NULL or 0 is taken from its environment variable, then from its
// default. Initialise with TASKPROF_OPTIONS_INIT.
struct taskprof_options {
    size_t size; // sizeof(struct taskprof_options): lets later versions add fields

    // TASKPROF_HTTP. Where to listen: "ADDRESS:PORT", "[IPV6]:PORT", ":PORT" (loopback) or "PORT".
    // Port 0 takes a free one. "off" starts no endpoint. Default "127.0.0.1:6060".
    const char *http;

    // TASKPROF_HOSTS. Names, separated by commas, that a request's Host header may carry besides
    // the loopback names and the address listened on. "*" allows all. Default: none more.
    const char *hosts;

    // TASKPROF_MAX_CONNECTIONS. Clients served at once, 1 … 1024; the next one gets 503.
    // Default 32.
    unsigned max_connections;

    // TASKPROF_CLIENT_TIMEOUT. Seconds that a client may stay silent, or not read. Default 30.
    unsigned client_timeout_s;

    // TASKPROF_SNAPSHOTS. A folder in which a goroutine profile is kept now and then, as
    // PROGRAM-TIME-PID.goroutine.pb.gz, for `go tool pprof -diff_base`. Default: none.
    const char *snapshots;

    // TASKPROF_SNAPSHOTS_EVERY ("90s", "5m", or seconds). Seconds between two of them, 1 … 86400.
    // Default 60.
    unsigned snapshots_every_s;

    // TASKPROF_SNAPSHOTS_KEEP. How many of this program's are kept there, 1 … 999999; the oldest
    // are deleted. Default 60.
    unsigned snapshots_keep;

    // TASKPROF_CHANNELS. A file that describes types of queues by their fields, a line each, so
    // that waits on them are shown as channel operations (docs/channels-file.md). What is wrong
    // with it does not fail the start: the index page and channel?debug=1 tell it. Default: none.
    const char *channels;

    // TASKPROF_WARM_UP. "on": a thread reads, in the background and at once, the symbols of the
    // program and the C library, some 10 MiB in memory, so that the first profile need not wait for
    // them. "off": the first profile reads them. Default "on".
    const char *warm_up;
};

// Without designators, which C++ knows only since C++20.
#define TASKPROF_OPTIONS_INIT                                                     \
    {                                                                             \
        sizeof(struct taskprof_options), NULL, NULL, 0, 0, NULL, 0, 0, NULL, NULL \
    }

// Starts the profiler and its endpoint. `options` may be NULL. Nothing is printed.
// 0, or a negative errno; taskprof_start_error then has the whole story:
//   -EALREADY       already started in this process
//   -EINVAL         an option, or an environment variable, that can't be understood
//   -EADDRINUSE     the port is taken          -EADDRNOTAVAIL  the address is not this machine's
//   -EACCES         no permission for the port -ENOMEM, -EAGAIN  no memory, no thread
//   -ENOENT, …      what open(2) said of the folder for snapshots
// Thread-safe. After a fork, the child has no endpoint until it calls this again.
int taskprof_start(const struct taskprof_options *options);

// The text of this thread's last taskprof_start or taskprof_write that failed: which option,
// address or parameter, and what would be right. "" if none did. Valid until this thread's next
// call of either.
const char *taskprof_start_error(void);

// "ADDRESS:PORT" of the endpoint, with the port that was really taken; "" when there is none.
// Valid until taskprof_stop.
const char *taskprof_address(void);

// Stops the endpoint and its threads; answers under way are cut off. Tasks, channels and parks go
// on being recorded. 0, or -EALREADY when it is not running.
int taskprof_stop(void);

// Writes what GET /debug/pprof/PROFILE?QUERY would answer to a file descriptor, without a server:
// taskprof_write(fd, "goroutine", "debug=2"). `query` may be NULL.
// 0; -EINVAL: no such profile, or a bad query; -ENOMEM; or what write(2) said. taskprof_start_error
// then has the text that GET would have answered with.
int taskprof_write(int fd, const char *profile, const char *query);

// Whether a file descriptor is one that taskprof has opened for itself (1) or not (0). For programs
// that close all descriptors they find, and for wrappers of close(2): taskprof's are better left
// open. Any thread; async-signal-safe.
int taskprof_owns_fd(int fd);

// The text of any negative errno that a taskprof function returned. Static.
const char *taskprof_error_text(int error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
