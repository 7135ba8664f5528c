// Waiting for child processes.

#include "preload/wrap.h"

WRAP_WAIT(pid_t, wait, (int *ret_status), (ret_status), true, TASKPROF_CHILD_WAIT, NULL)

WRAP_WAIT(pid_t, waitpid, (pid_t pid, int *ret_status, int options), (pid, ret_status, options),
          !(options & WNOHANG), TASKPROF_CHILD_WAIT, NULL)

WRAP_WAIT(int, waitid, (idtype_t kind, id_t id, siginfo_t *ret, int options),
          (kind, id, ret, options), !(options & WNOHANG), TASKPROF_CHILD_WAIT, NULL)

WRAP_WAIT(pid_t, wait3, (int *ret_status, int options, struct rusage *ret_usage),
          (ret_status, options, ret_usage), !(options & WNOHANG), TASKPROF_CHILD_WAIT, NULL)

WRAP_WAIT(pid_t, wait4, (pid_t pid, int *ret_status, int options, struct rusage *ret_usage),
          (pid, ret_status, options, ret_usage), !(options & WNOHANG), TASKPROF_CHILD_WAIT, NULL)
