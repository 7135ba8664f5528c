// What every wrapper is made of.

#pragma once

#include "preload/family.h"
#include "preload/real.h"

#include <stdbool.h>
#include <stdint.h>
#include <taskprof/park.h>

#define WRAPPER __attribute__((visibility("default")))

// Where libtaskprof lies: its own calls are passed through, or registering a thread could come back
// to itself. Until the start everything counts as its own, so that wrappers pass everything on.
// Written once, at the start; the size last.
struct wrap_library {
    uintptr_t low;
    uintptr_t size;
};
extern struct wrap_library wrap_library;

// Whether a call from this place is one of the application's, in a process that is watched.
static inline bool wrap_applies(const void *caller)
{
    return (uintptr_t)caller - __atomic_load_n(&wrap_library.low, __ATOMIC_RELAXED) >=
           __atomic_load_n(&wrap_library.size, __ATOMIC_RELAXED);
}
#define WRAP_APPLIES() __builtin_expect(wrap_applies(__builtin_return_address(0)), 1)

static inline void wrap_unpark(const char *parked)
{
    (void)parked;
    taskprof_unpark();
}

// Parks until the end of the block, however that is left: cancellation unwinds, too.
#define WRAP_PARK(reason, object)  \
    taskprof_park(reason, object); \
    __attribute__((cleanup(wrap_unpark), unused)) char parked
#define WRAP_PARK_CALL(reason, object)  \
    taskprof_park_call(reason, object); \
    __attribute__((cleanup(wrap_unpark), unused)) char parked

// A wrapper of a function that may block, if `blocks` is true of its arguments.
#define WRAP_CALL(type, name, parameters, arguments, blocks, reason, object) \
    WRAPPER type name parameters                                             \
    {                                                                        \
        if (!WRAP_APPLIES() || !(blocks))                                    \
            return REAL(name) arguments;                                     \
        WRAP_PARK_CALL(reason, object);                                      \
        return REAL(name) arguments;                                         \
    }

// The same of one that servers wait in: no lock of an allocator or the like is held there, so that
// a daemon's endpoint can be looked after.
#define WRAP_WAIT(type, name, parameters, arguments, blocks, reason, object) \
    WRAPPER type name parameters                                             \
    {                                                                        \
        if (!WRAP_APPLIES() || !(blocks))                                    \
            return REAL(name) arguments;                                     \
        family_waits();                                                      \
        WRAP_PARK_CALL(reason, object);                                      \
        return REAL(name) arguments;                                         \
    }
