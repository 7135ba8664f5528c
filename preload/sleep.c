// Sleeping.

#include "preload/wrap.h"

WRAP_WAIT(unsigned, sleep, (unsigned seconds), (seconds), seconds, TASKPROF_SLEEP, NULL)

WRAP_WAIT(int, usleep, (useconds_t microseconds), (microseconds), microseconds, TASKPROF_SLEEP,
          NULL)

WRAP_WAIT(int, nanosleep, (const struct timespec *span, struct timespec *ret_left),
          (span, ret_left), true, TASKPROF_SLEEP, NULL)

WRAP_WAIT(int, clock_nanosleep,
          (clockid_t clock, int flags, const struct timespec *span, struct timespec *ret_left),
          (clock, flags, span, ret_left), true, TASKPROF_SLEEP, NULL)
