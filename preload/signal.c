// Waiting for signals.

#include "preload/wrap.h"

WRAP_WAIT(int, sigwait, (const sigset_t *set, int *ret), (set, ret), true, TASKPROF_SIGNAL_WAIT,
          NULL)

WRAP_WAIT(int, sigwaitinfo, (const sigset_t *set, siginfo_t *ret), (set, ret), true,
          TASKPROF_SIGNAL_WAIT, NULL)

WRAP_WAIT(int, sigtimedwait, (const sigset_t *set, siginfo_t *ret, const struct timespec *timeout),
          (set, ret, timeout), true, TASKPROF_SIGNAL_WAIT, NULL)

WRAP_WAIT(int, sigsuspend, (const sigset_t *mask), (mask), true, TASKPROF_SIGNAL_WAIT, NULL)

WRAP_WAIT(int, pause, (void), (), true, TASKPROF_SIGNAL_WAIT, NULL)
