// Semaphores of POSIX.

#include "preload/wrap.h"

#include <errno.h>

// Tried first. It is a cancellation point even where it doesn't block, and the try is none.
WRAPPER int sem_wait(sem_t *semaphore)
{
    if (!WRAP_APPLIES())
        return REAL(sem_wait)(semaphore);
    int saved = errno;
    pthread_testcancel();
    if (__builtin_expect(REAL(sem_trywait)(semaphore) == 0, 1))
        return 0;
    errno = saved;
    WRAP_PARK(TASKPROF_SEMACQUIRE, semaphore);
    return REAL(sem_wait)(semaphore);
}

// These look at their clock and time limit before they look at the semaphore: a try would hide
// that.
WRAP_CALL(int, sem_timedwait, (sem_t * semaphore, const struct timespec *until), (semaphore, until),
          true, TASKPROF_SEMACQUIRE, semaphore)

WRAP_CALL(int, sem_clockwait, (sem_t * semaphore, clockid_t clock, const struct timespec *until),
          (semaphore, clock, until), true, TASKPROF_SEMACQUIRE, semaphore)
