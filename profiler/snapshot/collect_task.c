// What every step does with a task that it has met.

#include "profiler/snapshot/collector.h"

void collect_into_group(struct collector *collector, uint32_t number,
                        const struct group_member *member, uint32_t slot)
{
    struct snapshot *snapshot = collector->snapshot;
    struct group *group = &collector->groups.list[number];
    groups_add(group, member, snapshot->since_ns);
    snapshot->tasks++;
    if (owners_is_lock(group->key.reason) &&
        !owners_note(&collector->lock_candidates, member, slot, number))
        collector->out_of_memory = true;
    if (!(collector->flags & SNAPSHOT_TASKS))
        return;
    size_t room = snapshot->task_list_bytes / sizeof(struct snapshot_task);
    if (snapshot->task_count >= room) {
        collector->out_of_memory = true;
        return;
    }
    snapshot->task_list[snapshot->task_count++] = (struct snapshot_task){
        .id = member->id,
        .wait_start_ns = member->wait_start_ns,
        .group = number,
        .slot = slot,
    };
}

uint32_t collect_task(struct collector *collector, const struct collected *task)
{
    uint32_t number = groups_find(&collector->groups, &task->key);
    if (number == GROUP_NONE)
        collector->out_of_memory = true;
    else
        collect_into_group(collector, number, &task->member, task->slot);
    return number;
}
