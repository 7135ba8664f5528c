// stream-not-half-closed: a server has sent all its replies and never ends its side of the
// connection; the peer's reader, and the connection itself, stay.

#include "leaks.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLIES = 3 };

// Descriptors travel in the pointer that a task is started with.
static void *as_argument(int descriptor)
{
    return (void *)(intptr_t)descriptor;
}

static int as_descriptor(void *argument)
{
    return (int)(intptr_t)argument;
}

// Reads until the other side ends the stream. A wait that taskprof does not see by itself is marked
// by hand: two calls around the one that may block.
SEEN_IN_STACKS static size_t read_replies(int connection)
{
    char reply[64];
    size_t total = 0;
    for (;;) {
        taskprof_park(TASKPROF_IO_WAIT, NULL);
        ssize_t got = read(connection, reply, sizeof(reply));
        taskprof_unpark();
        if (got > 0)
            total += (size_t)got;
        else if (got == 0 || errno != EINTR)
            return total;
    }
}

static void *read_stream(void *argument)
{
    int connection = as_descriptor(argument);
    taskprof_task_set_name(taskprof_task_self(), "reads replies");
    read_replies(connection);
    close(connection);
    return NULL;
}

static void send_replies(int connection)
{
    static const char reply[] = "shipped\n";
    for (unsigned i = 0; i < REPLIES; i++)
        send(connection, reply, strlen(reply), MSG_NOSIGNAL);
}

// Connects a server with a peer that reads: the server's end, or a negative errno.
static int connect_reader(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    int error = spawn(read_stream, as_argument(ends[1]));
    if (error < 0) {
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    return ends[0];
}

static int leaky(void)
{
    int connection = connect_reader();
    if (connection < 0)
        return connection;
    send_replies(connection);
    return 0; // the leak: all is sent, but the peer is not told
}

static int fixed(void)
{
    int connection = connect_reader();
    if (connection < 0)
        return connection;
    send_replies(connection);
    shutdown(connection, SHUT_WR); // the half-close: the peer reads what is left, then the end
    close(connection);
    return 0;
}

const struct pattern pattern_stream_not_half_closed = {
    .name = "stream-not-half-closed",
    .story = "a server has sent all and never ends its side; the peer's reader stays",
    .waits = "read_replies",
    .reason = "IO wait",
    .tasks = 1,
    .leaky = leaky,
    .fixed = fixed,
};
