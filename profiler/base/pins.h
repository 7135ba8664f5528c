// Waiting for a collector that looks at something which is about to end.

#pragma once

#include "profiler/base/lock.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

// Returns when there are no pins. One lasts as long as one stack is read: microseconds, or some
// milliseconds where code is met for the first time. Sleeps after some tries, so that a thread with
// real-time priority lets the collector have its processor.
// Sequentially consistent: pairs with the pin, which is taken before the state is looked at.
#define pins_wait(pins)                                             \
    do {                                                            \
        for (unsigned tries_ = 0; atomic_load(pins) != 0; tries_++) \
            pins_pause(tries_);                                     \
    } while (0)

// On a futex: a thread that was cancelled would leave clock_nanosleep, and its stack be freed,
// while the collector reads it.
static inline void pins_pause(unsigned tries)
{
    enum { YIELDS = 100, NAP_NS = 50000 };
    _Atomic uint32_t nothing = 0;
    if (tries < YIELDS)
        sched_yield();
    else
        futex_wait(&nothing, 0, NAP_NS);
}
