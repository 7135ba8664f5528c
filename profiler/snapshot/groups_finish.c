#include "profiler/base/sort.h"
#include "profiler/snapshot/groups.h"
#include "profiler/snapshot/waiters.h"

#include <errno.h>
#include <string.h>

static void export_group(const struct waiters *waiters, const struct group *group,
                         struct snapshot_group *into)
{
    uint32_t channel = SNAPSHOT_NO_CHANNEL;
    if (group->channel_slot < waiters->slots)
        channel = waiters->position[group->channel_slot];
    *into = (struct snapshot_group){
        .stack = group->key.stack,
        .creation = group->key.creation,
        .channel_class = group->key.channel_class,
        .channel = channel,
        .activity = group->key.activity,
        .reason = group->key.reason,
        .syscall = group->key.syscall,
        .object = group->object,
        .count = group->count,
        .threads = group->threads,
        .wait_sum_ns = group->wait_sum_ns,
        .wait_max_ns = group->wait_max_ns,
        .oldest_task = group->oldest_task,
        .stuck_since = group->stuck_since,
    };
    memcpy(into->ages, group->ages, sizeof(into->ages));
}

static void add_to_totals(struct snapshot *snapshot, const struct snapshot_group *group)
{
    snapshot->threads += group->threads;
    snapshot->coroutines += group->count - group->threads;
    if (group->activity == TASK_PARKED)
        snapshot->parked += group->count;
    if (group->activity == TASK_UNREADABLE)
        snapshot->unreadable += group->count;
    if (stack_get(group->stack)->end != STACK_WHOLE)
        snapshot->truncated += group->count;
}

int groups_finish(const struct groups *groups, const struct waiters *waiters,
                  struct snapshot *snapshot)
{
    size_t count = 0;
    for (size_t i = 0; i < groups->count; i++)
        count += groups->list[i].count != 0;
    struct sort_item *order = arena_alloc(&snapshot->arena, count * sizeof(*order));
    uint32_t *moved_to = arena_alloc(&snapshot->arena, groups->count * sizeof(*moved_to));
    snapshot->groups = arena_alloc(&snapshot->arena, count * sizeof(*snapshot->groups));
    if (!order || !moved_to || !snapshot->groups)
        return -ENOMEM;
    size_t at = 0;
    for (size_t i = 0; i < groups->count; i++)
        if (groups->list[i].count)
            order[at++] = (struct sort_item){.key = groups->list[i].count, .index = (uint32_t)i};
    sort_descending(order, count);
    for (size_t i = 0; i < count; i++) {
        export_group(waiters, &groups->list[order[i].index], &snapshot->groups[i]);
        moved_to[order[i].index] = (uint32_t)i;
        add_to_totals(snapshot, &snapshot->groups[i]);
    }
    snapshot->group_count = count;
    for (size_t i = 0; i < snapshot->task_count; i++)
        snapshot->task_list[i].group = moved_to[snapshot->task_list[i].group];
    for (size_t i = 0; i < snapshot->lock_wait_count; i++)
        snapshot->lock_waits[i].group = moved_to[snapshot->lock_waits[i].group];
    return 0;
}
