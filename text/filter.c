#include "text/filter.h"

#include "text/words.h"

#include <string.h>
#include <strings.h>

bool filter_group(const struct filter *filter, const struct snapshot_group *group)
{
    if (filter->state[0] && strcasecmp(filter->state, snapshot_state_text(group)) != 0)
        return false;
    if (filter->has_min_wait &&
        (group->activity != TASK_PARKED || group->wait_max_ns < filter->min_wait_ns))
        return false;
    if (filter->channel[0]) {
        char label[WORDS_CHANNEL_MAX];
        if (group->channel_class == 0)
            return false;
        words_channel(group->channel_class, label);
        if (strcmp(filter->channel, label) != 0)
            return false;
    }
    return true;
}

bool filter_task(const struct filter *filter, const struct snapshot *snapshot,
                 const struct snapshot_task *task)
{
    if (!filter->has_min_wait)
        return true;
    uint64_t now = snapshot->monotonic_ns;
    return task->wait_start_ns && now >= task->wait_start_ns &&
           now - task->wait_start_ns >= filter->min_wait_ns;
}
