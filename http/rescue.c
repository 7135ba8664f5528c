#include "http/rescue.h"

#include "answers/exchange.h"
#include "answers/query.h"
#include "answers/routes.h"
#include "profiler/base/clock.h"
#include "profiler/base/own_fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MILLISECOND 1000000u

enum {
    HEAD_MAX = 16 * 1024,
    BLOCK = 32 * 1024,
    HEAD_MS = 3000,     // for the whole head: others are waiting
    PROGRESS_MS = 5000, // without a byte taken by the client
    TOTAL_MS = 120000,  // for a whole answer
    REFUSE_MS = 100,    // for the head of a request that gets 503 anyhow
    LINGER_MS = 500,    // for the client to take the last bytes
};

struct rescue {
    int fd;
    int stop;
    uint64_t deadline_ns;
    char head[HEAD_MAX + 1];
    size_t length;
    char block[BLOCK];
};

static uint64_t after(unsigned ms)
{
    return clock_monotonic_ns() + (uint64_t)ms * MILLISECOND;
}

// Waits for `events`. false: the time is over, the client is gone, or the server stops.
static bool wait_for(const struct rescue *rescue, short events, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline_ns)
            return false;
        struct pollfd fds[] = {{.fd = rescue->fd, .events = events},
                               {.fd = rescue->stop, .events = POLLIN}};
        int ready = poll(fds, 2, (int)((deadline_ns - now) / MILLISECOND) + 1);
        if (ready < 0 && errno != EINTR)
            return false;
        if (fds[1].revents)
            return false;
        if (ready > 0 && fds[0].revents)
            return (fds[0].revents & (events | POLLHUP)) != 0;
    }
}

// Reads up to the empty line behind the head. 1: it is there; 0: it did not come in time, or the
// client closed; -E2BIG.
static int read_head(struct rescue *rescue, uint64_t deadline_ns)
{
    while (wait_for(rescue, POLLIN, deadline_ns)) {
        ssize_t got = recv(rescue->fd, rescue->head + rescue->length, HEAD_MAX - rescue->length,
                           MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return 0;
        if (got > 0)
            rescue->length += (size_t)got;
        rescue->head[rescue->length] = '\0';
        if (strstr(rescue->head, "\r\n\r\n") || strstr(rescue->head, "\n\n"))
            return 1;
        if (rescue->length == HEAD_MAX)
            return -E2BIG;
    }
    return 0;
}

// Cuts the next line off *at; NULL at the empty one.
static char *next_line(char **at)
{
    char *line = *at;
    size_t length = strcspn(line, "\n");
    *at = line + length + (line[length] == '\n');
    line[length] = '\0';
    if (length && line[length - 1] == '\r')
        line[length - 1] = '\0';
    return *line ? line : NULL;
}

// The head as a request. Returns false, with an error in *reply, for what is not served here.
static bool parse(struct rescue *rescue, const char *trouble, struct request *ret,
                  struct reply *reply)
{
    char *at = rescue->head;
    char *line = next_line(&at);
    char *target = line ? strchr(line, ' ') : NULL;
    char *version = target ? strchr(target + 1, ' ') : NULL;
    bool body = false;
    if (!version || version == target + 1 || strncmp(version + 1, "HTTP/1.", 7) != 0) {
        reply_error(reply, 400, "this is no HTTP/1 request");
        return false;
    }
    *target++ = '\0';
    *version++ = '\0';
    ret->method = line;
    ret->target = target;
    ret->http_1_0 = strcmp(version, "HTTP/1.1") != 0;
    while ((line = next_line(&at))) {
        char *colon = strchr(line, ':');
        if (!colon) {
            reply_error(reply, 400, "a header line has no colon");
            return false;
        }
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " \t");
        for (size_t end = strlen(value); end && strchr(" \t", value[end - 1]); end--)
            value[end - 1] = '\0';
        // Two of them: which one the check below saw would be anybody's guess.
        if (strcasecmp(line, "Host") == 0 && ret->host) {
            reply_error(reply, 400, "there is more than one Host header");
            return false;
        }
        if (strcasecmp(line, "Host") == 0)
            ret->host = value;
        else if (strcasecmp(line, "Transfer-Encoding") == 0 ||
                 (strcasecmp(line, "Content-Length") == 0 && strcmp(value, "0") != 0))
            body = true;
    }
    if (!body)
        return true;
    if (routes_takes_body(ret, reply))
        reply_error(reply, 503, "%s: only GET is answered", trouble);
    return false;
}

static bool send_all(struct rescue *rescue, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = send(rescue->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        uint64_t progress = after(PROGRESS_MS);
        if (!wait_for(rescue, POLLOUT,
                      progress < rescue->deadline_ns ? progress : rescue->deadline_ns))
            return false;
    }
    return true;
}

static bool send_head(struct rescue *rescue, const struct reply *reply)
{
    char text[1024];
    int length = snprintf(text, sizeof(text), "HTTP/1.1 %u %s\r\nConnection: close\r\n",
                          reply->status, reply_status_text(reply->status));
    const char *name;
    const char *value;
    char room[REPLY_HEADER_ROOM];
    for (unsigned at = 0; reply_header(reply, &at, &name, &value, room);) {
        int more =
            snprintf(text + length, sizeof(text) - (size_t)length, "%s: %s\r\n", name, value);
        if (more < 0 || more >= (int)sizeof(text) - length)
            return false;
        length += more;
    }
    if (reply->sized) {
        int more = snprintf(text + length, sizeof(text) - (size_t)length, "Content-Length: %zu\r\n",
                            body_length(&reply->body));
        if (more < 0 || more >= (int)sizeof(text) - length)
            return false;
        length += more;
    }
    return send_all(rescue, text, (size_t)length) && send_all(rescue, "\r\n", 2);
}

static bool send_reply(struct rescue *rescue, struct reply *reply, bool with_body)
{
    rescue->deadline_ns = after(TOTAL_MS);
    if (!send_head(rescue, reply))
        return false;
    for (;;) {
        ssize_t got = with_body ? body_read(&reply->body, rescue->block, BLOCK) : 0;
        if (got <= 0)
            return got == 0;
        if (!send_all(rescue, rescue->block, (size_t)got))
            return false;
    }
}

// Closes so that the client gets all that was sent, or, when `whole` is false, an error: an answer
// without a length must not end early and look complete.
static void finish(struct rescue *rescue, bool whole)
{
    if (whole) {
        shutdown(rescue->fd, SHUT_WR);
        uint64_t deadline = after(LINGER_MS);
        // What the client still sends is read and dropped: unread bytes would make the kernel send
        // a reset, which may overtake the answer.
        while (wait_for(rescue, POLLIN, deadline) &&
               recv(rescue->fd, rescue->block, BLOCK, MSG_DONTWAIT) > 0)
            continue;
    } else {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(rescue->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    own_fd_close(rescue->fd);
}

static struct rescue *rescue_new(int fd, int stop)
{
    struct rescue *rescue = memory_map(sizeof(*rescue));
    if (!rescue) {
        own_fd_close(fd);
        return NULL;
    }
    rescue->fd = fd;
    rescue->stop = stop;
    return rescue;
}

void rescue_serve(int fd, const struct host_rule *hosts, int stop, const char *trouble)
{
    struct rescue *rescue = rescue_new(fd, stop);
    if (!rescue)
        return;
    struct request request = {.hosts = hosts};
    struct reply reply = {0};
    int got = read_head(rescue, after(HEAD_MS));
    if (got > 0) {
        if (parse(rescue, trouble, &request, &reply))
            routes_answer(&request, &reply);
    } else if (got < 0) {
        reply_error(&reply, 431, "the head of the request is longer than %d bytes", HEAD_MAX);
    } else if (rescue->length) {
        reply_error(&reply, 408, "the request did not come in time");
    }
    if (reply.wait_s)
        reply_error(&reply, 503,
                    "%s: seconds= can't be had. Save two profiles and compare them with go tool "
                    "pprof -diff_base",
                    trouble);
    bool head = request.method && strcmp(request.method, "HEAD") == 0;
    bool whole = reply.status && send_reply(rescue, &reply, !head);
    reply_release(&reply);
    finish(rescue, whole);
    memory_unmap(rescue, sizeof(*rescue));
}

void rescue_refuse(int fd, int stop, const char *why)
{
    struct rescue *rescue = rescue_new(fd, stop);
    if (!rescue)
        return;
    struct reply reply = {0};
    read_head(rescue, after(REFUSE_MS));
    reply_error(&reply, 503,
                "%s; try again, or set TASKPROF_MAX_CONNECTIONS (options.max_connections) higher",
                why);
    bool whole = send_reply(rescue, &reply, true);
    reply_release(&reply);
    finish(rescue, whole);
    memory_unmap(rescue, sizeof(*rescue));
}
