// Locks of every kind, in the cases that are errors, too.

#include "same.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <threads.h>
#include <unistd.h>

static const struct timespec never = {.tv_sec = 1, .tv_nsec = 1000000000};

static void *lock_and_leave(void *mutex)
{
    return (void *)(intptr_t)pthread_mutex_lock(mutex);
}

static void *lock_with_limit(void *mutex)
{
    SAY_WAITS(30, pthread_mutex_timedlock(mutex, IN_MS(CLOCK_REALTIME, 30)));
    SAY_WAITS(30, pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, IN_MS(CLOCK_MONOTONIC, 30)));
    SAY(pthread_mutex_timedlock(mutex, &never));
    SAY(pthread_mutex_clocklock(mutex, CLOCK_THREAD_CPUTIME_ID, &never));
    SAY(pthread_mutex_trylock(mutex));
    return NULL;
}

static long in_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *result = NULL;
    int error = pthread_create(&thread, NULL, function, argument);
    if (!error)
        error = pthread_join(thread, &result);
    return error ? error : (long)(intptr_t)result;
}

static void mutexes_of(int type, int robust, int protocol)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    printf("type %d robust %d protocol %d\n", type, robust, protocol);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, type);
    pthread_mutexattr_setrobust(&attributes, robust);
    SAY(pthread_mutexattr_setprotocol(&attributes, protocol));
    SAY(pthread_mutex_init(&mutex, &attributes));
    SAY(pthread_mutex_lock(&mutex));
    in_thread(lock_with_limit, &mutex);
    if (type != PTHREAD_MUTEX_NORMAL && type != PTHREAD_MUTEX_ADAPTIVE_NP)
        SAY(pthread_mutex_lock(&mutex));
    SAY(pthread_mutex_timedlock(&mutex, IN_MS(CLOCK_REALTIME, 20)));
    SAY(pthread_mutex_unlock(&mutex));
    while (pthread_mutex_trylock(&mutex) == 0 && type == PTHREAD_MUTEX_RECURSIVE)
        if (pthread_mutex_unlock(&mutex) || pthread_mutex_unlock(&mutex))
            break;
    pthread_mutex_unlock(&mutex);
    SAY(pthread_mutex_timedlock(&mutex, &never));
    SAY(pthread_mutex_unlock(&mutex));
    SAY(pthread_mutex_clocklock(&mutex, CLOCK_THREAD_CPUTIME_ID, &never));
    pthread_mutex_unlock(&mutex);
    if (robust == PTHREAD_MUTEX_ROBUST) {
        SAY(in_thread(lock_and_leave, &mutex));
        SAY(pthread_mutex_lock(&mutex));
        SAY(pthread_mutex_unlock(&mutex));
        SAY(pthread_mutex_lock(&mutex));
    }
    pthread_mutexattr_destroy(&attributes);
}

static void *write_lock(void *lock)
{
    SAY_WAITS(30, pthread_rwlock_timedwrlock(lock, IN_MS(CLOCK_REALTIME, 30)));
    SAY_WAITS(30, pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, IN_MS(CLOCK_MONOTONIC, 30)));
    return NULL;
}

static void rwlocks(void)
{
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    SAY(pthread_rwlock_wrlock(&lock));
    SAY(pthread_rwlock_wrlock(&lock));
    SAY(pthread_rwlock_rdlock(&lock));
    SAY(pthread_rwlock_timedrdlock(&lock, IN_MS(CLOCK_REALTIME, 30)));
    SAY(pthread_rwlock_unlock(&lock));
    SAY(pthread_rwlock_timedrdlock(&lock, &never));
    SAY(pthread_rwlock_clockwrlock(&lock, CLOCK_THREAD_CPUTIME_ID, &never));
    SAY(pthread_rwlock_rdlock(&lock));
    SAY(pthread_rwlock_rdlock(&lock));
    in_thread(write_lock, &lock);
}

static void semaphores(void)
{
    sem_t semaphore;
    sem_init(&semaphore, 0, 1);
    SAY(sem_wait(&semaphore));
    SAY(sem_timedwait(&semaphore, &never));
    SAY_WAITS(30, sem_timedwait(&semaphore, IN_MS(CLOCK_REALTIME, 30)));
    SAY_WAITS(30, sem_clockwait(&semaphore, CLOCK_MONOTONIC, IN_MS(CLOCK_MONOTONIC, 30)));
    SAY(sem_clockwait(&semaphore, CLOCK_THREAD_CPUTIME_ID, &never));
}

static int c11_thread(void *argument)
{
    return (int)(intptr_t)argument;
}

static int c11_exit(void *argument)
{
    thrd_exit((int)(intptr_t)argument);
}

static void conditions_and_c11(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    SAY_WAITS(30, pthread_cond_timedwait(&cond, &mutex, IN_MS(CLOCK_REALTIME, 30)));
    SAY_WAITS(30,
              pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, IN_MS(CLOCK_MONOTONIC, 30)));
    SAY(pthread_cond_timedwait(&cond, &mutex, &never));
    mtx_t mtx;
    cnd_t cnd;
    int result;
    thrd_t thread;
    mtx_init(&mtx, mtx_timed);
    cnd_init(&cnd);
    SAY(mtx_lock(&mtx));
    SAY_WAITS(30, mtx_timedlock(&mtx, IN_MS(CLOCK_REALTIME, 30)));
    SAY_WAITS(30, cnd_timedwait(&cnd, &mtx, IN_MS(CLOCK_REALTIME, 30)));
    SAY(mtx_unlock(&mtx));
    SAY(thrd_create(&thread, c11_thread, (void *)-5));
    SAY(thrd_join(thread, &result));
    printf("it returned %d\n", result);
    SAY(thrd_create(&thread, c11_exit, (void *)-6));
    SAY(thrd_join(thread, &result));
    printf("it returned %d\n", result);
}

static void *itself(void *argument)
{
    SAY(pthread_join(pthread_self(), NULL));
    return argument;
}

// What a detached thread is told; said by another, so that the lines keep their order.
static _Atomic int told = -1;

static void *itself_detached(void *argument)
{
    told = pthread_join(pthread_self(), NULL);
    return argument;
}

static void threads(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    SAY(in_thread(itself, (void *)42));
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    SAY(pthread_create(&thread, &attributes, itself_detached, NULL));
    while (told < 0)
        sched_yield();
    printf("a detached thread that joins itself: %d\n", told);
    // As large as no address space has room for.
    pthread_attr_setstacksize(&attributes, (size_t)1 << 50);
    SAY(pthread_create(&thread, &attributes, itself, NULL));
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 1);
    SAY(pthread_barrier_wait(&barrier));
}

void same_locks(void)
{
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK,
                                PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ADAPTIVE_NP};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        mutexes_of(types[i], PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
        mutexes_of(types[i], PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
        mutexes_of(types[i], PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
        mutexes_of(types[i], PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT);
    }
    rwlocks();
    semaphores();
    conditions_and_c11();
    threads();
}
