// A mutex of one word, straight on the futex.
//
// taskprof's own locks must not be pthread mutexes: a preloaded wrapper would see them as the
// application's, and a sampler that waits on itself would show up in its own profile. They guard
// microseconds of work; no lock is held while foreign code runs. Fork: the child resets each one.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t word; // 0 free, 1 taken, 2 taken and somebody sleeps
};

#define LOCK_INIT \
    {             \
        0         \
    }

// For the child of a fork, while it has one thread: whoever held the lock is not there any more.
void lock_reset(struct lock *lock);

// The futex itself, for waits of other kinds. `timeout_ns` counts from now, negative is for ever.
// Return 0 when woken, or -EAGAIN (*word != expected), -EINTR, -ETIMEDOUT. errno is left as it was.
int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
void futex_wake(_Atomic uint32_t *word, int waiters);

// How often a waiter may pause and look again before it is cheaper to sleep: a few microseconds.
// 0 where this process has a single processor: nobody could come meanwhile.
unsigned spin_limit(void);

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline bool lock_try(struct lock *lock)
{
    uint32_t free = 0;
    // Acquire: pairs with the release in lock_release.
    return atomic_compare_exchange_strong_explicit(&lock->word, &free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

// For lock_acquire alone: the lock was taken a moment ago.
void lock_wait(struct lock *lock);

static inline void lock_acquire(struct lock *lock)
{
    if (!lock_try(lock))
        lock_wait(lock);
}

static inline void lock_release(struct lock *lock)
{
    // Release: what was written under the lock is seen by the next lock_try or lock_acquire.
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
        futex_wake(&lock->word, 1);
}
