#include "profiler/base/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum { BITS = 64, HIGH = 500, LESS_HIGH = 100 };

// Relaxed throughout: a bit says what became of a number, and whoever has got the number knows that
// by other means.
static _Atomic uint64_t marks[OWN_FD_MAX / BITS];

// The calling thread has a table of its own. Initial-exec: no call of the loader's, which might
// malloc.
static __thread bool separate __attribute__((tls_model("initial-exec")));

// Not unshare(CLONE_FILES), which would copy the application's descriptors, and keep open what it
// closes.
void own_fd_separate(void)
{
    int saved = errno;
    if (!separate)
        separate = syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0;
    errno = saved;
}

int own_fd(int fd)
{
    if (fd >= 0 && fd < OWN_FD_MAX && !separate)
        atomic_fetch_or_explicit(&marks[fd / BITS], (uint64_t)1 << fd % BITS, memory_order_relaxed);
    return fd;
}

int own_fd_high(int fd)
{
    int saved = errno;
    int moved = -1;
    if (fd >= 0 && fd < HIGH && !separate) {
        moved = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGH);
        // A low limit.
        if (moved < 0)
            moved = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LESS_HIGH);
    }
    if (moved >= 0)
        syscall(SYS_close, fd);
    errno = saved;
    return own_fd(moved >= 0 ? moved : fd);
}

void own_fd_block(struct own_fd_blocked *ret)
{
    int saved = errno;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
    ret->count = 0;
    while (fd >= 0) {
        if (fd < OWN_FD_LOW)
            ret->fds[ret->count++] = own_fd(fd);
        else
            syscall(SYS_close, fd);
        if (fd >= OWN_FD_LOW || ret->count == OWN_FD_LOW)
            break;
        fd = (int)syscall(SYS_fcntl, ret->fds[0], F_DUPFD_CLOEXEC, 0);
    }
    errno = saved;
}

void own_fd_unblock(const struct own_fd_blocked *blocked)
{
    for (int i = 0; i < blocked->count; i++)
        own_fd_close(blocked->fds[i]);
}

void own_fd_leave(int fd)
{
    if (fd >= 0 && fd < OWN_FD_MAX && !separate)
        atomic_fetch_and_explicit(&marks[fd / BITS], ~((uint64_t)1 << fd % BITS),
                                  memory_order_relaxed);
}

// The mark goes first: behind the close, the number may be the application's.
void own_fd_close(int fd)
{
    int saved = errno;
    own_fd_leave(fd);
    syscall(SYS_close, fd);
    errno = saved;
}

bool own_fd_is(int fd)
{
    return fd >= 0 && fd < OWN_FD_MAX &&
           atomic_load_explicit(&marks[fd / BITS], memory_order_relaxed) >> fd % BITS & 1;
}

void own_fd_forget_all(void)
{
    for (unsigned i = 0; i < OWN_FD_MAX / BITS; i++)
        atomic_store_explicit(&marks[i], 0, memory_order_relaxed);
}

int taskprof_owns_fd(int fd)
{
    return own_fd_is(fd);
}
