// Reader-writer locks.

#include "preload/wrap.h"

#include <errno.h>

// As for mutexes: tried first. A thread that holds the lock itself is told so by the lock, behind
// a try that says "busy".
WRAPPER int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_rwlock_rdlock)(lock);
    int result = REAL(pthread_rwlock_tryrdlock)(lock);
    if (__builtin_expect(result != EBUSY, 1))
        return result;
    WRAP_PARK(TASKPROF_RWLOCK_RLOCK, lock);
    return REAL(pthread_rwlock_rdlock)(lock);
}

WRAPPER int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    if (!WRAP_APPLIES())
        return REAL(pthread_rwlock_wrlock)(lock);
    int result = REAL(pthread_rwlock_trywrlock)(lock);
    if (__builtin_expect(result != EBUSY, 1))
        return result;
    WRAP_PARK(TASKPROF_RWLOCK_LOCK, lock);
    return REAL(pthread_rwlock_wrlock)(lock);
}

// These look at their clock and time limit before they look at the lock: a try would hide that.
WRAP_CALL(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const struct timespec *until),
          (lock, until), true, TASKPROF_RWLOCK_RLOCK, lock)

WRAP_CALL(int, pthread_rwlock_clockrdlock,
          (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),
          (lock, clock, until), true, TASKPROF_RWLOCK_RLOCK, lock)

WRAP_CALL(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const struct timespec *until),
          (lock, until), true, TASKPROF_RWLOCK_LOCK, lock)

WRAP_CALL(int, pthread_rwlock_clockwrlock,
          (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),
          (lock, clock, until), true, TASKPROF_RWLOCK_LOCK, lock)
