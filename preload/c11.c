// C11's threads, mutexes and condition variables. glibc makes them of its own inner functions,
// which no wrapper sees.

#include "preload/wrap.h"

#include <errno.h>
#include <taskprof/task.h>

WRAPPER int mtx_lock(mtx_t *mutex)
{
    if (!WRAP_APPLIES())
        return REAL(mtx_lock)(mutex);
    int result = REAL(mtx_trylock)(mutex);
    if (__builtin_expect(result != thrd_busy, 1))
        return result;
    WRAP_PARK(TASKPROF_MUTEX_LOCK, mutex);
    return REAL(mtx_lock)(mutex);
}

WRAP_CALL(int, mtx_timedlock, (mtx_t * mutex, const struct timespec *until), (mutex, until), true,
          TASKPROF_MUTEX_LOCK, mutex)

WRAPPER int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    if (!WRAP_APPLIES())
        return REAL(cnd_wait)(cond, mutex);
    WRAP_PARK(TASKPROF_COND_WAIT, cond);
    return REAL(cnd_wait)(cond, mutex);
}

WRAP_CALL(int, cnd_timedwait, (cnd_t * cond, mtx_t *mutex, const struct timespec *until),
          (cond, mutex, until), true, TASKPROF_COND_WAIT, cond)

// In glibc a C11 thread is a POSIX thread whose result is an int: thrd_join looks at no more of
// what the function returned than that, and both kinds of function return it in the same register.
WRAPPER int thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
    if (!WRAP_APPLIES())
        return REAL(thrd_create)(thread, start, argument);
    union {
        thrd_start_t c11;
        void *(*posix)(void *);
    } function = {.c11 = start};
    int error = taskprof_pthread_create(thread, NULL, function.posix, argument);
    return error == 0 ? thrd_success : error == ENOMEM ? thrd_nomem : thrd_error;
}

WRAP_CALL(int, thrd_join, (thrd_t thread, int *ret), (thread, ret), true, TASKPROF_JOIN,
          (const void *)thread)

WRAP_CALL(int, thrd_sleep, (const struct timespec *span, struct timespec *ret_left),
          (span, ret_left), true, TASKPROF_SLEEP, NULL)
