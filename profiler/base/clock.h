// The two clocks, in nanoseconds, and a cheaper one.

#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Time since boot without suspends: the clock of every wait.
static inline uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

// The same as of the last timer tick, up to 10 ms ago: a tenth of the price.
static inline uint64_t clock_coarse_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

// The number of a second: while it stays the same, less than one has gone by, unless somebody sets
// the clock back. For comparing with another of the same process. A load or two where the kernel
// offers that, a quarter of what the coarse clocks cost.
uint64_t clock_second(void);

// Unix time: the clock of a snapshot's label, never of a difference.
static inline uint64_t clock_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}
