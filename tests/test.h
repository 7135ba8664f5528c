// What every unit test includes: cmocka with its prerequisites, and waits on conditions.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <time.h>

// Waits until `condition` holds, for at most a minute: tests wait for what they need, never for a
// time. Fails the test when the minute is over.
#define eventually(condition)                                        \
    do {                                                             \
        time_t end_ = time(NULL) + 60;                               \
        bool met_;                                                   \
        while (!(met_ = (condition)) && time(NULL) < end_)           \
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); \
        if (!met_)                                                   \
            fail_msg("never came true: %s", #condition);             \
    } while (0)
