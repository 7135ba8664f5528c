// Programs that close all descriptors they find, as daemons do, do not close taskprof's: to them
// these numbers are not open.

#include "preload/wrap.h"

#include <errno.h>
#include <taskprof/taskprof.h>
#include <time.h>

// What taskprof opens for a moment (a file of /proc, a library's symbols) may have the number that
// the application chose. Then it waits.
static bool is_in_the_way(int fd)
{
    enum { TRIES = 1000 };
    static const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < TRIES; i++) {
        if (!taskprof_owns_fd(fd))
            return false;
        REAL(nanosleep)(&pause, NULL);
    }
    return true;
}

WRAPPER int close(int fd)
{
    if (taskprof_owns_fd(fd)) {
        errno = EBADF;
        return -1;
    }
    return REAL(close)(fd);
}

// EBUSY is what dup2(2) has for a number that somebody else is just opening.
WRAPPER int dup2(int from, int to)
{
    if (from != to && is_in_the_way(to)) {
        errno = EBUSY;
        return -1;
    }
    return REAL(dup2)(from, to);
}

WRAPPER int dup3(int from, int to, int flags)
{
    if (from != to && is_in_the_way(to)) {
        errno = EBUSY;
        return -1;
    }
    return REAL(dup3)(from, to, flags);
}

// In one call where nothing of taskprof's lies in between, as before; else piece by piece.
WRAPPER int close_range(unsigned first, unsigned last, int flags)
{
    enum { MARKED_MAX = 1 << 16 };
    unsigned from = first;
    if (first > last)
        return REAL(close_range)(first, last, flags);
    for (unsigned fd = first; fd <= last && fd < MARKED_MAX; fd++) {
        if (!taskprof_owns_fd((int)fd))
            continue;
        if (fd > from && REAL(close_range)(from, fd - 1, flags) != 0)
            return -1;
        from = fd + 1;
    }
    return from > last ? 0 : REAL(close_range)(from, last, flags);
}

WRAPPER void closefrom(int low)
{
    int saved = errno;
    if (close_range(low < 0 ? 0 : (unsigned)low, ~0U, 0) != 0)
        REAL(closefrom)(low);
    errno = saved;
}
