#include "profiler/base/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    int saved = errno;
    struct timespec span = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                          timeout_ns < 0 ? NULL : &span, NULL, 0);
    int error = result < 0 ? -errno : 0;
    errno = saved;
    return error;
}

void futex_wake(_Atomic uint32_t *word, int waiters)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
    errno = saved;
}

enum { SPINS = 200, SPINS_UNKNOWN = -1, PAUSES = 32 };

unsigned spin_limit(void)
{
    static _Atomic int limit = SPINS_UNKNOWN;
    int known = atomic_load_explicit(&limit, memory_order_relaxed);
    if (known != SPINS_UNKNOWN)
        return (unsigned)known;
    int saved = errno;
    cpu_set_t allowed;
    // A mask too small for this machine's processors (EINVAL) means that there are many.
    bool single = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) < 2;
    errno = saved;
    known = single ? 0 : SPINS;
    atomic_store_explicit(&limit, known, memory_order_relaxed);
    return (unsigned)known;
}

void lock_wait(struct lock *lock)
{
    // Seldom looks: each one pulls the line from the processor that holds the lock. Left alone,
    // that one takes it again and again out of its own cache, and gets dozens of short operations
    // done in one pause; two that look all the time spend most of it on moving the line.
    for (unsigned left = spin_limit(); left >= PAUSES; left -= PAUSES) {
        for (unsigned i = 0; i < PAUSES; i++)
            spin_pause();
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && lock_try(lock))
            return;
    }
    // Acquire: as in lock_try. 2, because another may sleep besides this one.
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        futex_wait(&lock->word, 2, -1);
}

void lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}
