#include "http/http.h"

#include "http/exchange.h"
#include "http/front.h"
#include "http/options.h"
#include "http/query.h"
#include "http/recorder.h"
#include "http/routes.h"
#include "profiler/base/lock.h"
#include "profiler/base/own_fd.h"
#include "profiler/described/described.h"
#include "profiler/symbols/symbols.h"
#include "profiler/tasks/fork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct lock lock = LOCK_INIT; // guards all below but last_error
static bool running;
static struct front *front; // NULL while running: no endpoint ("off")
static char address[OPTIONS_ADDRESS_TEXT];

// The text of the last taskprof_start or taskprof_write that failed.
static _Thread_local char last_error[OPTIONS_ERROR_MAX];

static void explain(int error, const struct settings *settings)
{
    const char *where = settings->where[0] ? settings->where : "TASKPROF_HTTP";
    switch (error) {
    case -EADDRINUSE:
        snprintf(last_error, sizeof(last_error),
                 "%s: the port is taken. Choose another with TASKPROF_HTTP (options.http), or 0 "
                 "for a free one",
                 where);
        break;
    case -EADDRNOTAVAIL:
        snprintf(last_error, sizeof(last_error),
                 "%s: no interface of this machine has that address. 127.0.0.1 is always there, "
                 "0.0.0.0 is all of them",
                 where);
        break;
    case -EACCES:
        snprintf(last_error, sizeof(last_error),
                 "%s: no permission to listen there. Ports below 1024 need CAP_NET_BIND_SERVICE; "
                 "choose a higher one with TASKPROF_HTTP (options.http)",
                 where);
        break;
    default:
        snprintf(last_error, sizeof(last_error), "%s: %s", where, taskprof_error_text(error));
    }
}

static int start_locked(const struct taskprof_options *options)
{
    struct settings settings;
    if (running) {
        snprintf(last_error, sizeof(last_error),
                 "taskprof was started already in this process%s%s; call taskprof_stop first",
                 address[0] ? ", on " : "", address);
        return -EALREADY;
    }
    int result = options_read(options, &settings, last_error);
    if (result < 0)
        return result;
    result = symbols_start();
    if (result < 0) {
        explain(result, &settings);
        return result;
    }
    result = described_start(settings.channels);
    if (result < 0) {
        symbols_stop();
        explain(result, &settings);
        return result;
    }
    if (settings.snapshots[0]) {
        result = recorder_start(&settings);
        if (result < 0) {
            described_stop();
            symbols_stop();
            snprintf(last_error, sizeof(last_error), "the folder for snapshots, %s: %s",
                     settings.snapshots, taskprof_error_text(result));
            return result;
        }
    }
    if (!settings.off) {
        result = front_start(&settings, &front);
        if (result < 0) {
            recorder_stop();
            described_stop();
            symbols_stop();
            explain(result, &settings);
            return result;
        }
        options_address_text(&settings.address, address);
    }
    fork_child_hook(http_after_fork);
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

const char *taskprof_start_error(void)
{
    return last_error;
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
        if (front)
            front_stop(&front);
        recorder_stop();
        described_stop();
        symbols_stop();
        running = false;
        address[0] = '\0';
        result = 0;
    }
    lock_release(&lock);
    errno = saved;
    return result;
}

void http_after_fork(void)
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

// write(2) of all bytes. 0 or a negative errno.
static int write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

// Keeps the text of an answer that is an error, without the newline at its end.
static void keep_refusal(struct http_reply *reply)
{
    ssize_t length = http_body_read(&reply->body, last_error, sizeof(last_error) - 1);
    if (length > 0 && last_error[length - 1] == '\n')
        length--;
    last_error[length > 0 ? length : 0] = '\0';
}

// Writes the answer to a request. Needs `block`, of `room` bytes.
static int write_answer(int fd, const struct http_request *request, char *block, size_t room)
{
    struct http_reply reply = {0};
    routes_answer(request, &reply);
    if (reply.wait_s) {
        struct timespec left = {.tv_sec = reply.wait_s};
        while (nanosleep(&left, &left) < 0 && errno == EINTR)
            continue;
        routes_answer_later(&reply);
    }
    int result = reply.status == 200 ? 0 : reply.status >= 500 ? -ENOMEM : -EINVAL;
    if (result < 0)
        keep_refusal(&reply);
    while (result == 0) {
        ssize_t got = http_body_read(&reply.body, block, room);
        if (got == 0)
            break;
        result = got < 0 ? (int)got : write_all(fd, block, (size_t)got);
        if (result < 0)
            snprintf(last_error, sizeof(last_error), "the answer could not be %s: %s",
                     got < 0 ? "finished" : "written", taskprof_error_text(result));
    }
    http_reply_release(&reply);
    return result;
}

// With SIGPIPE held back: a reader that went away is an error number for the caller, not the end
// of the process.
static int write_without_sigpipe(int fd, const struct http_request *request, char *block,
                                 size_t room)
{
    sigset_t pipe;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    int result = write_answer(fd, request, block, room);
    // Only the signal that this call has caused is taken away.
    if (result == -EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int taskprof_write(int fd, const char *profile, const char *query)
{
    enum { ROOM = 32 * 1024, BYTES = ROOM + QUERY_MAX + 1 };
    int saved = errno;
    if (!profile || !profile[0] || profile[strcspn(profile, "/?#%")]) {
        snprintf(last_error, sizeof(last_error),
                 "a profile's name is not empty and has no / ? # or %%; its parameters are the "
                 "query: taskprof_write(fd, \"goroutine\", \"debug=2\")");
        return -EINVAL;
    }
    char *memory = memory_map(BYTES);
    if (!memory) {
        snprintf(last_error, sizeof(last_error), "%s", taskprof_error_text(-ENOMEM));
        return -ENOMEM;
    }
    char *target = memory + ROOM;
    int length = snprintf(target, QUERY_MAX + 1, ROUTES_BASE "%s?%s", profile, query ? query : "");
    int result = -EINVAL;
    if (length >= 0 && length <= QUERY_MAX) {
        struct http_request request = {.method = "GET", .target = target};
        // Not to be cancelled half-way: what it holds would stay held.
        int cancel;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        result = write_without_sigpipe(fd, &request, memory, ROOM);
        pthread_setcancelstate(cancel, NULL);
    } else {
        snprintf(last_error, sizeof(last_error), "profile and query are longer than %d bytes",
                 QUERY_MAX - (int)strlen(ROUTES_BASE "?"));
    }
    memory_unmap(memory, BYTES);
    errno = saved;
    return result;
}

const char *taskprof_error_text(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {0, "no error"},
        {-EALREADY, "already done: started, stopped, or closed"},
        {-EINVAL, "an argument or option is not right"},
        {-EPIPE, "the channel, or the file's other end, is closed"},
        {-ESTALE, "the channel was freed"},
        {-EAGAIN, "it would block, or there can be no more threads"},
        {-ETIMEDOUT, "the time is over"},
        {-EBUSY, "tasks wait on the channel"},
        {-ENOMEM, "out of memory"},
        {-EADDRINUSE, "the port is taken"},
        {-EADDRNOTAVAIL, "the address is not one of this machine's"},
        {-EACCES, "no permission"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].error == error)
            return texts[i].text;
    const char *text = error < 0 && error > -4096 ? strerrordesc_np(-error) : NULL;
    return text ? text : "unknown error";
}
