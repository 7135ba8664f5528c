// Taking a snapshot, start to end, and giving it back.

#include "profiler/snapshot/snapshot.h"

#include "profiler/arch/capture.h"
#include "profiler/base/clock.h"
#include "profiler/base/own_fd.h"
#include "profiler/snapshot/ask_running.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/renew.h"
#include "profiler/snapshot/thread_names.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <unistd.h>

static struct lock collector_lock = LOCK_INIT; // guards `the_collector`
static struct collector the_collector = COLLECTOR_INIT(1);

// Room for every task that can be met: those with slots, and as many threads as /proc may add.
static int prepare_list(struct snapshot *snapshot, uint32_t slots)
{
    enum { STRANGERS = 65536 };
    size_t bytes = ((size_t)slots + STRANGERS) * sizeof(struct snapshot_task);
    snapshot->task_list = memory_map(bytes); // untouched pages cost nothing
    if (!snapshot->task_list)
        return -ENOMEM;
    snapshot->task_list_bytes = bytes;
    return 0;
}

static int collect(struct collector *into, struct snapshot *snapshot)
{
    bool objects_changed;
    inquiry_sweep();
    int result = waiters_begin(&into->waiters, snapshot, &objects_changed);
    if (result < 0)
        return result;
    bool groups_void = groups_begin(&into->groups);
    if (objects_changed || groups_void)
        collector_void_caches(into);
    recent_begin(&into->threads);
    capture_begin(&into->capture);
    owners_begin(&into->lock_candidates);
    table_clear(&into->registered);
    table_clear(&into->starting);
    tally_begin(&into->tally);
    into->not_started = 0;
    into->out_of_memory = !tids_open(&into->tids, into->self, &into->proc);
    collect_registered(into);
    collect_starting(into);
    collect_strangers(into);
    tally_flush(into);
    collect_owners(into);
    snapshot->proc_error = into->proc < 0 ? into->proc : 0;
    snapshot->maps_error = into->capture.maps_error;
    if (into->proc >= 0)
        own_fd_close(into->proc);
    if (into->out_of_memory)
        return -ENOMEM;
    result = waiters_finish(&into->waiters, snapshot);
    if (result == 0)
        result = groups_finish(&into->groups, &into->waiters, snapshot);
    int mappings = maps_list(&snapshot->arena, &snapshot->mappings, &snapshot->main_mapping);
    snapshot->mapping_count = mappings > 0 ? (size_t)mappings : 0;
    misuse_read(&snapshot->misuses);
    snapshot->left_out_count = budget_reports(snapshot->left_out, BUDGET_REPORTS);
    return result;
}

// Where the snapshot is taken. The snapshot's hold keeps it.
static stack_id stack_of(const struct arch_regs *regs)
{
    uint64_t section;
    stack_id stack = task_stack_here(regs, &section);
    epoch_leave(section);
    return stack;
}

static int take_once(unsigned flags, uint64_t since_ns, const struct arch_regs *self,
                     struct snapshot **ret)
{
    struct snapshot *snapshot = memory_map(sizeof(*snapshot));
    if (!snapshot)
        return -ENOMEM;
    lock_acquire(&collector_lock);
    renew_generations(&the_collector);
    epoch_hold(&snapshot->hold);
    the_collector.self = gettid();
    the_collector.self_stack = stack_of(self);
    the_collector.flags = flags;
    the_collector.snapshot = snapshot;
    capture_begin(&the_collector.capture);
    collect_ask_running(&the_collector); // before the cut: it may take a second
    the_collector.high = slab_high(&task_slab);
    int result = flags & SNAPSHOT_TASKS ? prepare_list(snapshot, the_collector.high) : 0;
    snapshot->since_ns = since_ns;
    snapshot->time_ns = clock_realtime_ns();
    snapshot->monotonic_ns = clock_monotonic_ns();
    if (result == 0) {
        if (flags & SNAPSHOT_TASKS)
            thread_names_begin();
        result = collect(&the_collector, snapshot);
    }
    the_collector.snapshot = NULL;
    snapshot->created = task_ids();
    snapshot->duration_ns = clock_monotonic_ns() - snapshot->monotonic_ns;
    lock_release(&collector_lock);
    if (result < 0) {
        snapshot_free(snapshot);
        return result;
    }
    *ret = snapshot;
    return 0;
}

int snapshot_take(unsigned flags, uint64_t since_ns, struct snapshot **ret)
{
    int saved = errno;
    fork_child_hook(snapshot_after_fork);
    task_current(); // registered, it keeps its id
    struct arch_regs regs;
    arch_capture(&regs);
    uint32_t answers = inquiry_version();
    struct snapshot *snapshot;
    int result = take_once(flags, since_ns, &regs, &snapshot);
    // The first look at a queue that was described is to show it as one already.
    if (result == 0 && inquiry_wait(answers)) {
        snapshot_free(snapshot);
        result = take_once(flags, since_ns, &regs, &snapshot);
    }
    errno = saved;
    if (result == 0)
        *ret = snapshot;
    return result;
}

void snapshot_align(struct snapshot *one, struct snapshot *other)
{
    // So that nothing turns between the two.
    lock_acquire(&collector_lock);
    renew_groups(one);
    renew_groups(other);
    lock_release(&collector_lock);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    epoch_release(&snapshot->hold);
    memory_unmap(snapshot->task_list, snapshot->task_list_bytes);
    arena_release(&snapshot->arena);
    memory_unmap(snapshot, sizeof(*snapshot));
}

void snapshot_after_fork(void)
{
    // A snapshot that was under way in the parent left this half done: begin anew. Its memory is
    // given up, for nobody can tell which of it was in use.
    thread_names_after_fork();
    lock_reset(&collector_lock);
    the_collector = (struct collector)COLLECTOR_INIT(the_collector.version + 1);
}
