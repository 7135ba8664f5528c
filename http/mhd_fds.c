#include "http/mhd_fds.h"

#include "profiler/base/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// libmicrohttpd tells its epoll's number alone. The kernel lists what that watches, a line each:
// "tfd:        7 events: …"; proc_pid_fdinfo(5).
static void each_watched(int epoll, int (*each)(int fd))
{
    char path[48];
    char text[2048];
    snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", epoll);
    int info = own_fd(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t got = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
    if (info >= 0)
        own_fd_close(info);
    text[got > 0 ? got : 0] = '\0';
    for (const char *at = text; (at = strstr(at, "tfd:")); at++)
        each((int)strtol(at + 4, NULL, 10));
}

static int epoll_of(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

static int leave(int fd)
{
    own_fd_leave(fd);
    return fd;
}

void mhd_fds_mark(struct MHD_Daemon *daemon)
{
    int saved = errno;
    int epoll = own_fd(epoll_of(daemon));
    if (epoll >= 0)
        each_watched(epoll, own_fd);
    errno = saved;
}

void mhd_fds_leave(struct MHD_Daemon *daemon)
{
    int epoll = epoll_of(daemon);
    if (epoll >= 0)
        each_watched(epoll, leave);
    own_fd_leave(epoll);
}

void mhd_fds_close(struct MHD_Daemon *daemon)
{
    int epoll = epoll_of(daemon);
    if (epoll >= 0)
        own_fd_close(epoll);
}
