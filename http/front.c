#include "http/front.h"

#include "http/mhd.h"
#include "http/rescue.h"
#include "profiler/base/memory.h"
#include "profiler/base/own_fd.h"
#include "profiler/tasks/own_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

// File descriptors held back, for when the application has used up all others: to accept with, and
// for a snapshot to read /proc with.
enum { SPARES = 6, BACKLOG = 128, RETRY_MS = 100 };

struct front {
    pthread_t thread;
    struct http_settings settings;
    struct mhd *mhd;
    int listener;
    int stop; // eventfd: readable from the stop on
    int spares[SPARES];
};

static void spares_open(struct front *front)
{
    for (int i = 0; i < SPARES; i++)
        if (front->spares[i] < 0)
            // Not very high: a number above a limit that the program sets later is of no use.
            front->spares[i] = own_fd(fcntl(front->stop, F_DUPFD_CLOEXEC, OWN_FD_LOW));
}

static void spares_close(struct front *front)
{
    for (int i = 0; i < SPARES; i++) {
        if (front->spares[i] >= 0)
            own_fd_close(front->spares[i]);
        front->spares[i] = -1;
    }
}

static void serve(struct front *front, int fd, const struct sockaddr_storage *address,
                  socklen_t length)
{
    switch (mhd_offer(front->mhd, fd, (const struct sockaddr *)address, length)) {
    case MHD_TAKEN:
        break;
    case MHD_FULL:
        rescue_refuse(fd, front->stop,
                      "as many clients as are allowed at once are being served already");
        break;
    case MHD_SHARE_HELD:
        rescue_refuse(fd, front->stop,
                      "half of the clients that are allowed at once are yours already: one address "
                      "gets no more, so that others are served too");
        break;
    case MHD_STUCK:
        rescue_serve(fd, &front->settings.hosts, front->stop, "malloc is stuck in this process");
        break;
    }
}

static int accept_one(struct front *front, struct sockaddr_storage *address, socklen_t *length)
{
    *length = sizeof(*address);
    return own_fd_high(
        accept4(front->listener, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

// The process has no file descriptors left: the spares are given away for one connection.
static void accept_with_spares(struct front *front)
{
    struct sockaddr_storage address;
    socklen_t length;
    spares_close(front);
    int fd = accept_one(front, &address, &length);
    if (fd >= 0) {
        rescue_serve(fd, &front->settings.hosts, front->stop,
                     "this process has no file descriptors left");
    } else {
        // Another thread was faster. The connection stays in the queue; look again soon.
        struct pollfd stop = {.fd = front->stop, .events = POLLIN};
        poll(&stop, 1, RETRY_MS);
    }
    spares_open(front);
}

static void *run(void *argument)
{
    struct front *front = argument;
    for (;;) {
        struct pollfd fds[] = {{.fd = front->stop, .events = POLLIN},
                               {.fd = front->listener, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[0].revents)
            return NULL;
        if (!fds[1].revents)
            continue;
        struct sockaddr_storage address;
        socklen_t length;
        int fd = accept_one(front, &address, &length);
        if (fd >= 0)
            serve(front, fd, &address, length);
        else if (errno == EMFILE || errno == ENFILE)
            accept_with_spares(front);
        else if (errno == ENOMEM || errno == ENOBUFS)
            poll(fds, 1, RETRY_MS);
    }
}

static void front_free(struct front *front)
{
    spares_close(front);
    if (front->listener >= 0)
        own_fd_close(front->listener);
    if (front->stop >= 0)
        own_fd_close(front->stop);
    memory_unmap(front, sizeof(*front));
}

static int listen_at(struct front *front)
{
    struct sockaddr_storage *address = &front->settings.address;
    int one = 1;
    front->listener = own_fd_high(
        socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    if (front->listener < 0)
        return -errno;
    // Without it, a restarted process can't listen for a minute after clients were connected.
    setsockopt(front->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    socklen_t length = sizeof(*address);
    if (bind(front->listener, (struct sockaddr *)address, front->settings.address_length) < 0 ||
        listen(front->listener, BACKLOG) < 0 ||
        getsockname(front->listener, (struct sockaddr *)address, &length) < 0)
        return -errno;
    return 0;
}

int front_start(struct http_settings *settings, struct front **ret)
{
    struct front *front = memory_map(sizeof(*front));
    if (!front)
        return -ENOMEM;
    front->settings = *settings;
    front->listener = -1;
    for (int i = 0; i < SPARES; i++)
        front->spares[i] = -1;
    front->stop = own_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int result = front->stop < 0 ? -errno : listen_at(front);
    if (result == 0)
        result = mhd_start(&front->settings, &front->mhd);
    if (result == 0) {
        spares_open(front);
        result = own_thread_start(&front->thread, "taskprof-http", run, front);
        if (result < 0)
            mhd_stop(&front->mhd);
    }
    if (result < 0) {
        front_free(front);
        return result;
    }
    settings->address = front->settings.address;
    *ret = front;
    return 0;
}

// The child of a fork that comes meanwhile must find nothing that was given back: each pointer goes
// first. This thread's own order is all that counts, for it is its stores that the child sees.
void front_stop(struct front **front_at)
{
    struct front *front = *front_at;
    eventfd_write(front->stop, 1);
    // It may just now wait for a sign of life from the other thread, which is told first.
    mhd_stop_begin(front->mhd);
    pthread_join(front->thread, NULL);
    mhd_stop(&front->mhd);
    *front_at = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    front_free(front);
}

void front_forget(struct front *front)
{
    if (front->mhd)
        mhd_forget(front->mhd);
    front_free(front);
}
