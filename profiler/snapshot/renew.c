#include "profiler/snapshot/renew.h"

#include "profiler/base/pins.h"
#include "profiler/snapshot/collector.h"
#include "profiler/tasks/task.h"

enum { PATIENCE = 200 }; // looks, as pins_pause makes them: some milliseconds

// What had no room is to be looked for again: there is some now.
static stack_id renew_cached(struct taskprof_task *task)
{
    if (task->cached_stack == INTERN_FULL)
        task->cached_seq = 0;
    return intern_renew(&stack_table, task->cached_stack);
}

static void renew_tasks(void)
{
    uint32_t high = slab_high(&task_slab);
    for (uint32_t i = 0; i < high; i++) {
        struct taskprof_task *task = slab_at(&task_slab, i);
        // Pinned, the slot can't become another task's. Nobody else reads what is changed.
        bool is_task = task && task_pin(task);
        stack_id cached = is_task ? renew_cached(task) : 0;
        // Of each slot, so that no id in any of them is of a generation that is gone. Pages that no
        // snapshot has written to are left alone.
        if (task && task->cached_stack != cached)
            task->cached_stack = cached;
        if (!is_task)
            continue;
        task->creation = intern_renew(&stack_table, task->creation);
        task_unpin(task);
    }
}

// What is remembered of threads without a park is theirs as long as they don't run; their ids must
// not be lost. All else is found anew.
static void renew_collector(struct collector *collector)
{
    struct thread_seen *seen = collector->threads.list;
    for (size_t i = 0; i < collector->threads.count; i++)
        seen[i].stack =
            seen[i].stack == INTERN_FULL ? 0 : intern_renew(&stack_table, seen[i].stack);
    groups_forget(&collector->groups);
    memo_forget(&collector->capture.memo);
    table_clear(&collector->asked);
    collector_void_caches(collector);
}

static bool is_turned(const struct intern *table)
{
    return table->old == INTERN_TURNED;
}

// Both turn together: a stack's id is a part of what makes a class. (In the child of a fork that
// came between the two, the other one follows.)
static void turn_if_due(void)
{
    bool stacks_due = intern_is_due(&stack_table);
    bool classes_due = intern_is_due(&channel_class_table);
    bool one_turned = is_turned(&stack_table) || is_turned(&channel_class_table);
    bool no_old = stack_table.old == INTERN_NO_OLD && channel_class_table.old == INTERN_NO_OLD;
    if (!one_turned && !(no_old && (stacks_due || classes_due)))
        return;
    if (channel_class_table.old == INTERN_NO_OLD)
        intern_turn(&channel_class_table);
    if (stack_table.old == INTERN_NO_OLD)
        intern_turn(&stack_table);
}

// Whoever got an id before the turn has stored it: such sections are short.
static bool may_renew(const struct intern *table)
{
    for (unsigned looks = 0; is_turned(table) && looks < PATIENCE; looks++) {
        if (intern_may_renew(table))
            return true;
        pins_pause(looks);
    }
    return !is_turned(table);
}

static void retire(struct intern *table)
{
    if (is_turned(table))
        intern_retire(table);
}

void renew_generations(struct collector *collector)
{
    turn_if_due();
    if ((!is_turned(&stack_table) && !is_turned(&channel_class_table)) ||
        !may_renew(&channel_class_table) || !may_renew(&stack_table))
        return;
    renew_tasks();
    channels_renew();
    chans_renew();
    misuse_renew();
    inquiry_forget();
    renew_collector(collector);
    retire(&channel_class_table);
    retire(&stack_table);
}

static uint32_t if_there_is_room(uint32_t id, uint32_t renewed)
{
    return renewed == INTERN_FULL ? id : renewed;
}

void renew_groups(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->group_count; i++) {
        struct snapshot_group *group = &snapshot->groups[i];
        group->stack = if_there_is_room(group->stack, intern_renew(&stack_table, group->stack));
        group->creation =
            if_there_is_room(group->creation, intern_renew(&stack_table, group->creation));
        group->channel_class =
            if_there_is_room(group->channel_class, channel_class_renew(group->channel_class));
    }
}
