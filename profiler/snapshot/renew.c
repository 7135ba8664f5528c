#include "profiler/snapshot/renew.h"

#include "profiler/base/pins.h"
#include "profiler/snapshot/collector.h"
#include "profiler/tasks/task.h"

enum { PATIENCE = 200 }; // looks, as pins_pause makes them: some milliseconds

static void renew_tasks(void)
{
    uint32_t high = slab_high(&task_slab);
    for (uint32_t i = 0; i < high; i++) {
        struct taskprof_task *task = slab_at(&task_slab, i);
        // Pinned, the slot can't become another task's. Nobody else reads what is changed.
        bool is_task = task && task_pin(task);
        stack_id cached = is_task ? intern_renew(&stack_table, task->cached_stack) : 0;
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
        seen[i].stack = intern_renew(&stack_table, seen[i].stack);
    groups_forget(&collector->groups);
    memo_forget(&collector->capture.memo);
    table_clear(&collector->asked);
    collector_void_caches(collector);
}

// Whoever got an id before the turn has stored it: such sections are short.
static bool may_renew(void)
{
    for (unsigned looks = 0; looks < PATIENCE; looks++) {
        if (intern_may_renew(&stack_table) && intern_may_renew(&channel_class_table))
            return true;
        pins_pause(looks);
    }
    return false;
}

void renew_generations(struct collector *collector)
{
    // Both turn together: a stack's id is a part of what makes a class.
    bool stacks_due = intern_is_due(&stack_table);
    bool classes_due = intern_is_due(&channel_class_table);
    bool no_old = stack_table.old == INTERN_NO_OLD && channel_class_table.old == INTERN_NO_OLD;
    if (no_old && (stacks_due || classes_due)) {
        intern_turn(&channel_class_table);
        intern_turn(&stack_table);
    }
    if (stack_table.old != INTERN_TURNED || !may_renew())
        return;
    renew_tasks();
    channels_renew();
    chans_renew();
    misuse_renew();
    inquiry_forget();
    renew_collector(collector);
    intern_retire(&channel_class_table);
    intern_retire(&stack_table);
}

void snapshot_renew(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->group_count; i++) {
        struct snapshot_group *group = &snapshot->groups[i];
        group->stack = intern_renew(&stack_table, group->stack);
        group->creation = intern_renew(&stack_table, group->creation);
        group->channel_class = channel_class_renew(group->channel_class);
    }
}
