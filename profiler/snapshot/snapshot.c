// Taking a snapshot, start to end, and giving it back.

#include "profiler/snapshot/snapshot.h"

#include "profiler/arch/capture.h"
#include "profiler/base/clock.h"
#include "profiler/base/own_fd.h"
#include "profiler/base/sort.h"
#include "profiler/snapshot/ask_running.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/thread_names.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct lock collector_lock = LOCK_INIT; // guards `the_collector`
static struct collector the_collector = {.version = 1};

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

static void export_group(const struct collector *from, const struct group *group,
                         struct snapshot_group *into)
{
    uint32_t channel = SNAPSHOT_NO_CHANNEL;
    if (group->channel_slot < from->waiters.slots)
        channel = from->waiters.position[group->channel_slot];
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

// The groups that have members, most first, and the task list's references to them.
static int export_groups(const struct collector *from, struct snapshot *snapshot)
{
    size_t count = 0;
    for (size_t i = 0; i < from->groups.count; i++)
        count += from->groups.list[i].count != 0;
    struct sort_item *order = arena_alloc(&snapshot->arena, count * sizeof(*order));
    uint32_t *moved_to = arena_alloc(&snapshot->arena, from->groups.count * sizeof(*moved_to));
    snapshot->groups = arena_alloc(&snapshot->arena, count * sizeof(*snapshot->groups));
    if (!order || !moved_to || !snapshot->groups)
        return -ENOMEM;
    size_t at = 0;
    for (size_t i = 0; i < from->groups.count; i++)
        if (from->groups.list[i].count)
            order[at++] =
                (struct sort_item){.key = from->groups.list[i].count, .index = (uint32_t)i};
    sort_descending(order, count);
    for (size_t i = 0; i < count; i++) {
        export_group(from, &from->groups.list[order[i].index], &snapshot->groups[i]);
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
        into->version += into->version == UINT32_MAX ? 2 : 1;
    threads_seen_begin(&into->threads);
    capture_begin(&into->capture);
    owners_begin(&into->lock_candidates);
    table_clear(&into->registered);
    table_clear(&into->starting);
    tally_begin(&into->tally);
    into->not_started = 0;
    into->out_of_memory = false;
    into->proc = proc_threads_open();
    collect_list_tids(into);
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
        result = export_groups(into, snapshot);
    int mappings = maps_list(&snapshot->arena, &snapshot->mappings, &snapshot->main_mapping);
    snapshot->mapping_count = mappings > 0 ? (size_t)mappings : 0;
    return result;
}

static int take_once(unsigned flags, uint64_t since_ns, stack_id self_stack, struct snapshot **ret)
{
    struct snapshot *snapshot = memory_map(sizeof(*snapshot));
    if (!snapshot)
        return -ENOMEM;
    lock_acquire(&collector_lock);
    the_collector.self = gettid();
    the_collector.self_stack = self_stack;
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
    stack_id self_stack = task_stack_here(&regs);
    uint32_t answers = inquiry_version();
    struct snapshot *snapshot;
    int result = take_once(flags, since_ns, self_stack, &snapshot);
    // The first look at a queue that was described is to show it as one already.
    if (result == 0 && inquiry_wait(answers)) {
        snapshot_free(snapshot);
        result = take_once(flags, since_ns, self_stack, &snapshot);
    }
    errno = saved;
    if (result == 0)
        *ret = snapshot;
    return result;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    memory_unmap(snapshot->task_list, snapshot->task_list_bytes);
    arena_release(&snapshot->arena);
    memory_unmap(snapshot, sizeof(*snapshot));
}

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

void snapshot_after_fork(void)
{
    // A snapshot that was under way in the parent left this half done: begin anew. Its memory is
    // given up, for nobody can tell which of it was in use.
    thread_names_after_fork();
    lock_reset(&collector_lock);
    the_collector = (struct collector){.version = the_collector.version + 1};
}
