// taskprof_write: the same answers without an endpoint.

#include "answers/exchange.h"
#include "answers/query.h"
#include "answers/routes.h"
#include "service/errors.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <time.h>
#include <unistd.h>

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
static void keep_refusal(struct reply *reply)
{
    char *into = errors_last();
    ssize_t length = body_read(&reply->body, into, ERRORS_TEXT_MAX - 1);
    if (length > 0 && into[length - 1] == '\n')
        length--;
    into[length > 0 ? length : 0] = '\0';
}

// Writes the answer to a request. Needs `block`, of `room` bytes.
static int write_answer(int fd, const struct request *request, char *block, size_t room)
{
    struct reply reply = {0};
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
        ssize_t got = body_read(&reply.body, block, room);
        if (got == 0)
            break;
        result = got < 0 ? (int)got : write_all(fd, block, (size_t)got);
        if (result < 0)
            errors_set("the answer could not be %s: %s", got < 0 ? "finished" : "written",
                       taskprof_error_text(result));
    }
    reply_release(&reply);
    return result;
}

// With SIGPIPE held back: a reader that went away is an error number for the caller, not the end
// of the process.
static int write_without_sigpipe(int fd, const struct request *request, char *block, size_t room)
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
        errors_set("a profile's name is not empty and has no / ? # or %%; its parameters are the "
                   "query: taskprof_write(fd, \"goroutine\", \"debug=2\")");
        return -EINVAL;
    }
    char *memory = memory_map(BYTES);
    if (!memory) {
        errors_set("%s", taskprof_error_text(-ENOMEM));
        return -ENOMEM;
    }
    char *target = memory + ROOM;
    int length = snprintf(target, QUERY_MAX + 1, ROUTES_BASE "%s?%s", profile, query ? query : "");
    int result = -EINVAL;
    if (length >= 0 && length <= QUERY_MAX) {
        struct request request = {.method = "GET", .target = target};
        // Not to be cancelled half-way: what it holds would stay held.
        int cancel;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        result = write_without_sigpipe(fd, &request, memory, ROOM);
        pthread_setcancelstate(cancel, NULL);
    } else {
        errors_set("profile and query are longer than %d bytes",
                   QUERY_MAX - (int)strlen(ROUTES_BASE "?"));
    }
    memory_unmap(memory, BYTES);
    errno = saved;
    return result;
}
