// A barrier between stores.

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
