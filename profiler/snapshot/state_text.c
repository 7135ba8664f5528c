#include "profiler/snapshot/snapshot.h"

const char *snapshot_state_text(const struct snapshot_group *group)
{
    switch ((enum task_activity)group->activity) {
    case TASK_PARKED:
        return taskprof_reason_text((enum taskprof_reason)group->reason);
    case TASK_RUNNING:
        return "running";
    case TASK_IN_SYSCALL:
        return "syscall";
    case TASK_NOT_STARTED:
        return "runnable";
    case TASK_SUSPENDED:
        return "suspended";
    case TASK_UNREADABLE:
        break;
    }
    return "unknown";
}
