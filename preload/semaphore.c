// Semaphores of POSIX.

#include "preload/wrap.h"

// Not tried first: these are cancellation points even where they don't block, and a try is not.
WRAP_CALL(int, sem_wait, (sem_t * semaphore), (semaphore), true, TASKPROF_SEMACQUIRE, semaphore)

WRAP_CALL(int, sem_timedwait, (sem_t * semaphore, const struct timespec *until), (semaphore, until),
          true, TASKPROF_SEMACQUIRE, semaphore)

WRAP_CALL(int, sem_clockwait, (sem_t * semaphore, clockid_t clock, const struct timespec *until),
          (semaphore, clock, until), true, TASKPROF_SEMACQUIRE, semaphore)
