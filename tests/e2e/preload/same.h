// One line a call: what it returned, and errno. The same with taskprof and without.

#pragma once

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// A result and the errno that it left; a value that no call sets shows that errno was kept.
#define SAY(call)                                              \
    do {                                                       \
        errno = 4711;                                          \
        long result_ = (long)(call);                           \
        printf("%s = %ld, errno %d\n", #call, result_, errno); \
    } while (0)

// A wait with a limit: that it took its time, and not much more.
#define SAY_WAITS(ms, call)                                                            \
    do {                                                                               \
        long from_ = now_ms();                                                         \
        SAY(call);                                                                     \
        long took_ = now_ms() - from_;                                                 \
        puts(took_<(ms) ? "  too early" : took_>(ms) + 5000 ? "  late" : "  on time"); \
    } while (0)

static inline long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct timespec in_ms(clockid_t clock, long ms)
{
    struct timespec then;
    clock_gettime(clock, &then);
    then.tv_sec += ms / 1000;
    then.tv_nsec += ms % 1000 * 1000000;
    if (then.tv_nsec >= 1000000000) {
        then.tv_sec++;
        then.tv_nsec -= 1000000000;
    }
    return then;
}
#define IN_MS(clock, ms) (&(struct timespec[]){in_ms(clock, ms)}[0])

void same_locks(void);
void same_signals(void);
void same_cancellation(void);
void same_processes(void);
void same_small_stack(void);
