// Waits on futexes by syscall(): the locks of those who write their own.

#include "preload/wrap.h"

#include <linux/futex.h>
#include <sys/syscall.h>

// syscall() itself is in assembly (syscall.S). It comes here for the two numbers below, and jumps
// to the C library's for all others: one that forks, or gives the child another stack, must not
// return through a frame of ours.
long syscall_futex(long number, long word, long operation, long value, long timeout, long word2,
                   long value3);
void *syscall_find(void);

void *syscall_find(void)
{
    return (void *)REAL(syscall);
}

static bool waits(long number, long operation)
{
    if (number == SYS_futex_waitv)
        return true;
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return true;
    default:
        return false;
    }
}

long syscall_futex(long number, long word, long operation, long value, long timeout, long word2,
                   long value3)
{
    if (!WRAP_APPLIES() || !waits(number, operation))
        return REAL(syscall)(number, word, operation, value, timeout, word2, value3);
    WRAP_PARK_CALL(TASKPROF_SEMACQUIRE, (const void *)word);
    return REAL(syscall)(number, word, operation, value, timeout, word2, value3);
}
