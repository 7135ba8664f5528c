// Barriers between stores, and between loads.

#pragma once

#include <stdatomic.h>

// What was stored before is seen by other threads before what is stored after. ThreadSanitizer does
// not know fences, and needs none: it sees atomics in order.
static inline void fence_stores(void)
{
#if !defined(__SANITIZE_THREAD__)
    atomic_thread_fence(memory_order_release);
#endif
}

// What was loaded before, also by the kernel on this thread's behalf, was so before what is loaded
// after: a seq that is then found unchanged holds for all of it.
static inline void fence_loads(void)
{
#if !defined(__SANITIZE_THREAD__)
    atomic_thread_fence(memory_order_acquire);
#endif
}
