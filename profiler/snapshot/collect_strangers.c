// Threads outside any park, and those that never called the library: what /proc tells of them.

#include "profiler/snapshot/ask_running.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/snapshot/thread_names.h"

#include <errno.h>

// Whether a thread is where it was said to be. A count of time slices that was taken before that,
// and is the same now, tells that it did not run in between.
static bool is_still_there(const struct collector *collector, pid_t tid,
                           const struct proc_thread *thread)
{
    if (thread->timeslices)
        return proc_thread_timeslices(collector->proc, tid) == thread->timeslices;
    struct proc_thread again = *thread;
    return proc_thread_where(collector->proc, tid, &again) == 0 &&
           again.activity == thread->activity && again.sp == thread->sp && again.pc == thread->pc;
}

// Reads the stack of a thread that sits in a system call, and notes both; if it went on meanwhile,
// it runs.
static void read_stack(struct collector *collector, pid_t tid, struct proc_thread *thread,
                       struct thread_seen *seen)
{
    capture_prepare(&collector->capture);
    capture_in_syscall(&collector->capture, thread->sp, thread->pc);
    if (!is_still_there(collector, tid, thread)) {
        thread->activity = TASK_RUNNING;
        collector->snapshot->moved++;
        return;
    }
    seen->stack = capture_keep(&collector->capture);
    seen->syscall = thread->syscall;
}

// What it does, into `thread`, and where, into `seen`. -ESRCH: it is gone.
static int find_place(struct collector *collector, pid_t tid, struct proc_thread *thread,
                      struct thread_seen *seen)
{
    bool has_not_run = thread->timeslices && thread->timeslices == seen->timeslices;
    seen->timeslices = thread->timeslices;
    if (has_not_run && seen->stack) { // it is where it was
        thread->activity = TASK_IN_SYSCALL;
        return 0;
    }
    seen->stack = 0;
    seen->syscall = 0;
    int result = proc_thread_where(collector->proc, tid, thread);
    if (result == 0 && thread->activity == TASK_IN_SYSCALL)
        read_stack(collector, tid, thread, seen);
    return result;
}

// What is remembered of this very thread, to be changed; of one that is new, nothing. Out of
// memory, that is in `spare`, and will not be remembered.
static struct thread_seen *recall(struct collector *collector, pid_t tid, uint64_t start_ticks,
                                  struct thread_seen *spare)
{
    struct thread_seen *seen = recent_keep(&collector->threads, (uint64_t)tid);
    if (!seen)
        seen = spare;
    if (seen->start_ticks != start_ticks)
        *seen = (struct thread_seen){.entry = seen->entry, .start_ticks = start_ticks};
    return seen;
}

int collect_thread(struct collector *collector, pid_t tid, struct collected *ret)
{
    if (tid == collector->self) { // of itself /proc would say that it reads /proc
        ret->key.activity = TASK_RUNNING;
        ret->key.stack = collector->self_stack;
        ret->ran = true;
        return 0;
    }
    struct proc_thread thread;
    int result = proc_thread_look(collector->proc, tid, &thread);
    if (result < 0)
        return result;
    struct thread_seen spare = {0};
    struct thread_seen *seen = recall(collector, tid, thread.start_ticks, &spare);
    if (!ret->member.id)
        ret->member.id = seen->id = seen->id ? seen->id : task_next_id();
    if (collector->flags & SNAPSHOT_TASKS)
        thread_names_note(ret->member.id, collector->snapshot->monotonic_ns, thread.name);
    result = find_place(collector, tid, &thread, seen);
    if (result < 0)
        return result;
    ret->ran = thread.timeslices != 0;
    ret->key.activity = thread.activity;
    ret->key.stack = seen->stack;
    ret->key.syscall = seen->syscall;
    if (thread.activity == TASK_UNREADABLE && thread.error)
        collector->snapshot->unreadable_error = thread.error;
    if (thread.activity == TASK_RUNNING && collector->flags & SNAPSHOT_RUNNING) {
        ret->key.stack = collect_asked(collector, tid);
        collector->snapshot->unasked += !ret->key.stack;
    }
    return 0;
}

// A thread that was created through the library and has not run yet was counted with its slot.
static bool is_not_started(struct collector *collector, const struct collected *thread)
{
    if (!collector->not_started || thread->ran)
        return false;
    collector->not_started--;
    return true;
}

void collect_strangers(struct collector *collector)
{
    for (size_t i = 0; i < collector->tids.count; i++) {
        pid_t tid = collector->tids.list[i];
        if (table_get(&collector->registered, (uint64_t)tid) != TABLE_NONE)
            continue;
        struct collected collected = {
            .slot = SLOT_IS_TID | (uint32_t)tid,
            .member = {.channel_slot = GROUP_NONE, .is_thread = true},
        };
        if (collect_thread(collector, tid, &collected) == 0 &&
            !is_not_started(collector, &collected))
            collect_task(collector, &collected);
    }
}
