// Condition variables.

#include "preload/wrap.h"

WRAPPER int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_cond_wait)(cond, mutex);
    WRAP_PARK(TASKPROF_COND_WAIT, cond);
    return REAL(pthread_cond_wait)(cond, mutex);
}

// The time may be over already: these need not block.
WRAP_CALL(int, pthread_cond_timedwait,
          (pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *until),
          (cond, mutex, until), true, TASKPROF_COND_WAIT, cond)

WRAP_CALL(int, pthread_cond_clockwait,
          (pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t clock,
           const struct timespec *until),
          (cond, mutex, clock, until), true, TASKPROF_COND_WAIT, cond)
