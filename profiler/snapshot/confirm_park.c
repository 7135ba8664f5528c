#include "profiler/snapshot/confirm_park.h"

#include "profiler/base/array.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/tasks/stack_bounds.h"

#include <errno.h>

enum { FIRST_LATER = 512 };

bool confirm_park_of(const struct taskprof_task *task, struct confirm_park *ret)
{
    struct park_record record;
    if (!park_read(task, &record))
        return false;
    *ret = (struct confirm_park){.task = task,
                                 .tid = task_tid(task),
                                 .seq = record.seq,
                                 .sp = record.regs.sp,
                                 .is_call = record.is_call};
    return true;
}

// 1, 0 or -EAGAIN, as confirm_ask; `sp` is the thread's, 0 while it runs.
static int is_inside(const struct confirm_park *park, uintptr_t sp)
{
    if (!sp)
        return !park->is_call;
    // Its stack's bounds are this task's only as long as it is there.
    struct taskprof_task *task = slab_at(&task_slab, park->task->slot);
    if (!task_pin(task))
        return -EAGAIN;
    int inside = -EAGAIN;
    if (atomic_load_explicit(&task->seq, memory_order_acquire) == park->seq)
        // The frame itself is the park's own: a thread whose sp is there is still in it.
        inside = stack_bounds_park_lives(task, park->sp + 1, sp, false);
    task_unpin(task);
    return inside;
}

int confirm_ask(struct collector *collector, const struct confirm_park *park)
{
    uintptr_t sp;
    int result = proc_thread_sp(collector->proc, park->tid, &sp);
    if (atomic_load_explicit(&park->task->seq, memory_order_acquire) != park->seq)
        return -EAGAIN;
    if (result == -ESRCH)
        return -ESRCH;
    int inside = result < 0 ? 1 : is_inside(park, sp);
    if (inside == 0 && !park->is_call)
        collector->confirm.always = true;
    return inside;
}

// Asks about a park that was believed, unless its turn has not come. false: it is to be kept.
static bool settle(struct collector *collector, struct taskprof_task *task, uint32_t seq,
                   size_t *turns)
{
    struct confirm_park park;
    if (task->cached_seq != seq || !confirm_park_of(task, &park) || (uint32_t)park.seq != seq)
        return true;
    if (*turns == 0 && !collector->confirm.always)
        return false;
    *turns -= *turns != 0;
    if (confirm_ask(collector, &park) != 1)
        task->cached_seq = 0;
    return true;
}

void confirm_begin(struct collector *collector)
{
    struct confirm *confirm = &collector->confirm;
    confirm->asked = 0;
    size_t turns = CONFIRM_FEW + collector->tids.count / CONFIRM_SHARE;
    size_t kept = 0;
    for (size_t i = 0; i < confirm->count; i++) {
        struct taskprof_task *task = slab_at(&task_slab, confirm->later[i].slot);
        if (!settle(collector, task, confirm->later[i].seq, &turns))
            confirm->later[kept++] = confirm->later[i];
    }
    confirm->count = kept;
}

static bool note_later(struct confirm *confirm, uint32_t slot, uint32_t seq)
{
    void *later = array_grow(confirm->later, confirm->count, &confirm->capacity,
                             sizeof(*confirm->later), FIRST_LATER);
    if (!later)
        return false;
    confirm->later = later;
    confirm->later[confirm->count].slot = slot;
    confirm->later[confirm->count].seq = seq;
    confirm->count++;
    return true;
}

bool confirm_now(struct collector *collector, const struct taskprof_task *task, pid_t tid,
                 const struct park_record *record)
{
    struct confirm *confirm = &collector->confirm;
    bool now = record->is_call || confirm->always || confirm->asked < CONFIRM_FEW ||
               (task->slot + collector->round) % CONFIRM_SHARE == 0 ||
               !tids_have(&collector->tids, tid) ||
               !note_later(confirm, task->slot, (uint32_t)record->seq);
    confirm->asked += now;
    return now;
}
