#include "profiler/snapshot/snapshot.h"

#include <strings.h>

static const char *activity_text(enum task_activity activity)
{
    switch (activity) {
    case TASK_PARKED:
        break;
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

const char *snapshot_state_text(const struct snapshot_group *group)
{
    if (group->activity == TASK_PARKED)
        return taskprof_reason_text((enum taskprof_reason)group->reason);
    return activity_text((enum task_activity)group->activity);
}

bool snapshot_is_state(const char *text)
{
    for (int reason = 1; reason < TASKPROF_REASONS; reason++)
        if (strcasecmp(text, taskprof_reason_text((enum taskprof_reason)reason)) == 0)
            return true;
    for (int activity = TASK_RUNNING; activity <= TASK_UNREADABLE; activity++)
        if (strcasecmp(text, activity_text((enum task_activity)activity)) == 0)
            return true;
    return false;
}
