// Mutexes: tried first, so that a lock that nobody holds costs what it costs without us. Whatever
// the try says but "busy" is what the lock would have said.

#include "preload/wrap.h"

#include <errno.h>

WRAPPER int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_mutex_lock)(mutex);
    int result = REAL(pthread_mutex_trylock)(mutex);
    if (__builtin_expect(result != EBUSY, 1))
        return result;
    WRAP_PARK(TASKPROF_MUTEX_LOCK, mutex);
    return REAL(pthread_mutex_lock)(mutex);
}

WRAPPER int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_mutex_timedlock)(mutex, until);
    int result = REAL(pthread_mutex_trylock)(mutex);
    if (__builtin_expect(result != EBUSY, 1))
        return result;
    WRAP_PARK_CALL(TASKPROF_MUTEX_LOCK, mutex);
    return REAL(pthread_mutex_timedlock)(mutex, until);
}

WRAPPER int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                                    const struct timespec *until)
{
    // Another clock is an error even where nobody holds the mutex.
    if (!WRAP_APPLIES() || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
        return REAL(pthread_mutex_clocklock)(mutex, clock, until);
    int result = REAL(pthread_mutex_trylock)(mutex);
    if (__builtin_expect(result != EBUSY, 1))
        return result;
    WRAP_PARK_CALL(TASKPROF_MUTEX_LOCK, mutex);
    return REAL(pthread_mutex_clocklock)(mutex, clock, until);
}
