// Waiting for one of several files. Which ones is not looked at: a bad address is for the kernel to
// find. Time limits are read by the C library, too, except epoll_pwait2's.

#include "preload/wrap.h"

// A time limit of zero: looks, and goes on.
static bool waits(const struct timespec *timeout)
{
    return !timeout || timeout->tv_sec || timeout->tv_nsec;
}

WRAP_WAIT(int, poll, (struct pollfd * fds, nfds_t count, int timeout_ms), (fds, count, timeout_ms),
          timeout_ms, TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, __poll_chk, (struct pollfd * fds, nfds_t count, int timeout_ms, size_t size),
          (fds, count, timeout_ms, size), timeout_ms, TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, ppoll,
          (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
          (fds, count, timeout, mask), waits(timeout), TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, __ppoll_chk,
          (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
           size_t size),
          (fds, count, timeout, mask, size), waits(timeout), TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, select,
          (int count, fd_set *readers, fd_set *writers, fd_set *others, struct timeval *timeout),
          (count, readers, writers, others, timeout),
          !timeout || timeout->tv_sec || timeout->tv_usec, TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, pselect,
          (int count, fd_set *readers, fd_set *writers, fd_set *others,
           const struct timespec *timeout, const sigset_t *mask),
          (count, readers, writers, others, timeout, mask), waits(timeout), TASKPROF_IO_WAIT, NULL)

WRAP_WAIT(int, epoll_wait, (int fd, struct epoll_event *into, int max, int timeout_ms),
          (fd, into, max, timeout_ms), timeout_ms, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(int, epoll_pwait,
          (int fd, struct epoll_event *into, int max, int timeout_ms, const sigset_t *mask),
          (fd, into, max, timeout_ms, mask), timeout_ms, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(int, epoll_pwait2,
          (int fd, struct epoll_event *into, int max, const struct timespec *timeout,
           const sigset_t *mask),
          (fd, into, max, timeout, mask), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))
