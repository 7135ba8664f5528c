// Threads and barriers.

#include "preload/wrap.h"

#include <taskprof/task.h>

// libtaskprof creates the thread, by a call that comes back here and is passed through.
WRAPPER int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                           void *(*start)(void *), void *argument)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_create)(thread, attributes, start, argument);
    return taskprof_pthread_create(thread, attributes, start, argument);
}

WRAP_WAIT(int, pthread_join, (pthread_t thread, void **ret), (thread, ret), true, TASKPROF_JOIN,
          (const void *)thread)

WRAP_CALL(int, pthread_timedjoin_np, (pthread_t thread, void **ret, const struct timespec *until),
          (thread, ret, until), true, TASKPROF_JOIN, (const void *)thread)

WRAP_CALL(int, pthread_clockjoin_np,
          (pthread_t thread, void **ret, clockid_t clock, const struct timespec *until),
          (thread, ret, clock, until), true, TASKPROF_JOIN, (const void *)thread)

WRAP_CALL(int, pthread_barrier_wait, (pthread_barrier_t * barrier), (barrier), true,
          TASKPROF_BARRIER_WAIT, barrier)
