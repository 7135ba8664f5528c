#include "profiler/snapshot/ask_running.h"

#include "profiler/base/own_fd.h"
#include "profiler/snapshot/ask_signal.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/proc_thread.h"

#include <errno.h>

enum { SIGNALS_OF_RT = 35 }; // from this one on

// A thread answers at the next tick that it is on a processor for. With many threads on few
// processors that is their turn's end: some milliseconds for each that is ahead of it.
#define WAIT_LEAST_NS  100000000ll
#define WAIT_THREAD_NS 10000000ll
#define WAIT_MOST_NS   2000000000ll

struct asked_thread {
    pid_t tid;
    struct proc_signals signals;
};

// Whether a signal can do no harm there: the handler makes a system call and returns by another,
// which a stricter sandbox than ours could kill the process for.
static bool may_be_asked(const struct proc_signals *thread, const struct proc_signals *self)
{
    uint64_t all = UINT64_MAX << (SIGNALS_OF_RT - 1);
    return thread->seccomp == self->seccomp && thread->seccomp_filters == self->seccomp_filters &&
           (thread->blocked & all) != all;
}

// Those that run at this moment and can be asked.
static size_t list_running(struct collector *collector, struct asked_thread *into,
                           uint64_t *ret_blocked)
{
    struct proc_signals self;
    size_t count = 0;
    *ret_blocked = 0;
    if (proc_thread_signals(collector->proc, collector->self, &self) < 0)
        return 0;
    for (size_t i = 0; i < collector->tids.count; i++) {
        struct asked_thread thread = {.tid = collector->tids.list[i]};
        if (thread.tid == collector->self || !proc_thread_runs(collector->proc, thread.tid))
            continue;
        if (count == ASK_THREADS ||
            proc_thread_signals(collector->proc, thread.tid, &thread.signals) < 0 ||
            !may_be_asked(&thread.signals, &self))
            continue;
        *ret_blocked |= thread.signals.blocked;
        into[count++] = thread;
    }
    return count;
}

static void note_answer(struct collector *collector, pid_t tid, const struct ask_answer *answer)
{
    capture_prepare(&collector->capture);
    capture_copy(&collector->capture, &answer->regs, answer->copy, answer->length);
    stack_id stack = capture_keep(&collector->capture);
    if (table_put(&collector->asked, (uint64_t)tid, stack))
        collector->snapshot->answered++;
}

static void ask(struct collector *collector, const struct asked_thread *threads, size_t count,
                int number)
{
    size_t asked = 0;
    for (size_t i = 0; i < count; i++)
        if (!(threads[i].signals.blocked >> (number - 1) & 1))
            asked += ask_thread(i, threads[i].tid) == 0;
    collector->snapshot->asked = asked;
    int64_t wait = WAIT_LEAST_NS + (int64_t)asked * WAIT_THREAD_NS;
    ask_wait(count, asked, wait < WAIT_MOST_NS ? wait : WAIT_MOST_NS);
    for (size_t i = 0; i < count; i++) {
        struct ask_answer answer;
        if (ask_take(i, &answer))
            note_answer(collector, threads[i].tid, &answer);
    }
    ask_end(count);
}

void collect_ask_running(struct collector *collector)
{
    struct snapshot *snapshot = collector->snapshot;
    table_clear(&collector->asked);
    if (!(collector->flags & SNAPSHOT_RUNNING))
        return;
    snapshot->ask_error = ask_supported();
    if (snapshot->ask_error < 0)
        return;
    size_t bytes = ASK_THREADS * sizeof(struct asked_thread);
    struct asked_thread *threads = memory_map(bytes);
    bool listed = tids_open(&collector->tids, collector->self, &collector->proc);
    if (threads && listed && collector->proc >= 0) {
        uint64_t blocked;
        size_t count = list_running(collector, threads, &blocked);
        int number = count ? ask_begin(blocked) : 0;
        if (number > 0)
            ask(collector, threads, count, number);
        else
            snapshot->ask_error = number;
    }
    memory_unmap(threads, bytes);
    if (collector->proc >= 0)
        own_fd_close(collector->proc);
}

stack_id collect_asked(const struct collector *collector, pid_t tid)
{
    uint32_t stack = table_get(&collector->asked, (uint64_t)tid);
    return stack == TABLE_NONE ? 0 : stack;
}
