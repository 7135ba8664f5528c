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

// Looks again a few hundred times before it sleeps, where there is more than one processor.
void lock_acquire(struct lock *lock);
bool lock_try(struct lock *lock);
void lock_release(struct lock *lock);

// For the child of a fork, while it has one thread: whoever held the lock is not there any more.
void lock_reset(struct lock *lock);

// The futex itself, for waits of other kinds. `timeout_ns` counts from now, negative is for ever.
// Return 0 when woken, or -EAGAIN (*word != expected), -EINTR, -ETIMEDOUT. errno is left as it was.
int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
void futex_wake(_Atomic uint32_t *word, int waiters);

// How often a waiter may look again, with spin_pause in between, before it is cheaper to sleep:
// a microsecond or two. 0 where this process has a single processor: nobody could come meanwhile.
unsigned spin_limit(void);

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
