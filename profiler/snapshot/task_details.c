// What is looked up of single tasks while a dump is written: see snapshot.h.

#include "profiler/base/clock.h"
#include "profiler/base/own_fd.h"
#include "profiler/base/table.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/snapshot/thread_names.h"
#include "profiler/tasks/task.h"

#include <errno.h>

// Whether the task is still in the wait that the snapshot saw.
static bool still_waits(const struct taskprof_task *slot, const struct snapshot_task *task)
{
    uint64_t since = atomic_load_explicit(&slot->since_ns, memory_order_relaxed);
    return task->wait_start_ns && since == task->wait_start_ns;
}

static uintptr_t object_of(const struct taskprof_task *slot, const struct snapshot_task *task)
{
    uint8_t reason = atomic_load_explicit(&slot->reason, memory_order_relaxed);
    uintptr_t object = atomic_load_explicit(&slot->object, memory_order_relaxed);
    // Of a select the object is its array of waits.
    return still_waits(slot, task) && reason != TASKPROF_SELECT ? object : 0;
}

static uint32_t channel_of(const struct snapshot *snapshot, const struct taskprof_task *slot,
                           const struct snapshot_task *task)
{
    uint32_t channel = atomic_load_explicit(&slot->cached_channel, memory_order_relaxed);
    if (!still_waits(slot, task) || channel == TABLE_NONE ||
        channel >> 1 >= snapshot->channel_slots)
        return SNAPSHOT_NO_CHANNEL;
    return snapshot->channel_of_slot[channel >> 1];
}

// The name that the kernel has. The stamp is what it is kept for: the thread's park, or this
// snapshot alone.
static void kernel_name(uint64_t id, uint64_t stamp, uint64_t created_ns,
                        struct details_reader *reader, struct task_details *details)
{
    // A thread is often named by its creator, just after it has started.
    static const uint64_t settled_ns = 1000000000;
    if (thread_names_find(id, stamp, details->name))
        return;
    int saved = errno;
    if (!reader->opened)
        reader->directory = proc_threads_open();
    reader->opened = true;
    proc_thread_name(reader->directory, details->tid, details->name);
    errno = saved;
    if (details->name[0] && clock_monotonic_ns() - created_ns > settled_ns)
        thread_names_note(id, stamp, details->name);
}

void snapshot_details_close(struct details_reader *reader)
{
    if (reader->opened && reader->directory >= 0)
        own_fd_close(reader->directory);
    *reader = (struct details_reader){0};
}

bool snapshot_task_details(const struct snapshot *snapshot, const struct snapshot_task *task,
                           struct details_reader *reader, struct task_details *ret)
{
    uint64_t stamp = snapshot->monotonic_ns;
    if (task->slot & SLOT_IS_TID) {
        *ret = (struct task_details){.tid = (pid_t)(task->slot & ~SLOT_IS_TID),
                                     .channel = SNAPSHOT_NO_CHANNEL};
        if (reader)
            kernel_name(task->id, stamp, stamp, reader, ret);
        return proc_thread_exists(ret->tid);
    }
    struct taskprof_task *slot = slab_at(&task_slab, task->slot);
    if (!slot || !task_pin(slot))
        return false;
    bool same = atomic_load_explicit(&slot->id, memory_order_relaxed) == task->id;
    if (same) {
        *ret = (struct task_details){.parent = slot->parent,
                                     .created_ns = slot->created_ns,
                                     .tid = task_tid(slot),
                                     .object = object_of(slot, task),
                                     .channel = channel_of(snapshot, slot, task)};
        task_name(slot, ret->name);
        uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        stamp = seq & 1 ? seq : stamp;
    }
    task_unpin(slot);
    if (reader && same && !ret->name[0] && ret->tid)
        kernel_name(task->id, stamp, ret->created_ns, reader, ret);
    return same;
}
