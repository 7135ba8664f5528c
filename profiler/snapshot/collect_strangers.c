// Threads outside any park, and those that never called the library: what /proc tells of them.

#include "profiler/snapshot/ask_running.h"
#include "profiler/snapshot/collector.h"
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
                       struct thread_seen *note)
{
    capture_prepare(&collector->capture);
    capture_in_syscall(&collector->capture, thread->sp, thread->pc);
    if (!is_still_there(collector, tid, thread)) {
        thread->activity = TASK_RUNNING;
        collector->snapshot->moved++;
        return;
    }
    note->stack = capture_keep(&collector->capture);
    note->syscall = thread->syscall;
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
    const struct thread_seen *known =
        threads_seen_find(&collector->threads, tid, thread.start_ticks);
    struct thread_seen note = {
        .tid = tid, .start_ticks = thread.start_ticks, .timeslices = thread.timeslices};
    if (!ret->member.id) {
        note.id = known && known->id ? known->id : task_next_id();
        ret->member.id = note.id;
    }
    ret->ran = thread.timeslices != 0;
    if (collector->flags & SNAPSHOT_TASKS)
        thread_names_note(ret->member.id, collector->snapshot->monotonic_ns, thread.name);
    if (known && known->stack && thread.timeslices && known->timeslices == thread.timeslices) {
        // It has not run, so it is where it was.
        thread.activity = TASK_IN_SYSCALL;
        note.stack = known->stack;
        note.syscall = known->syscall;
    } else if (proc_thread_where(collector->proc, tid, &thread) < 0) {
        return -ESRCH;
    } else if (thread.activity == TASK_IN_SYSCALL) {
        read_stack(collector, tid, &thread, &note);
    }
    ret->key.activity = thread.activity;
    ret->key.stack = note.stack;
    ret->key.syscall = note.syscall;
    if (thread.activity == TASK_UNREADABLE && thread.error)
        collector->snapshot->unreadable_error = thread.error;
    if (thread.activity == TASK_RUNNING && collector->flags & SNAPSHOT_RUNNING) {
        ret->key.stack = collect_asked(collector, tid);
        collector->snapshot->unasked += !ret->key.stack;
    }
    threads_seen_note(&collector->threads, &note);
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
