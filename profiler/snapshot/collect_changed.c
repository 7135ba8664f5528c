// A task by the long way: pinned, its park read, its stack unwound. And what both ways do with it.

#include "profiler/snapshot/collector.h"
#include "profiler/tasks/task.h"

#include <errno.h>

enum {
    ATTEMPTS = 3,    // at a task that parks and unparks faster than its stack is read
    WAITS_READ = 64, // objects of one select that are looked at
};

// The channels of a select. Its group names a channel only if all its cases are on channels of one
// class.
static void collect_select(struct collector *collector, const struct taskprof_wait *waits,
                           unsigned count, struct collected *collected)
{
    for (unsigned i = 0; i < count; i++) {
        struct waits_on on = waiters_of(&collector->waiters, (uintptr_t)waits[i].object);
        uint32_t slot = on.channel_slot == TABLE_NONE ? GROUP_NONE : on.channel_slot;
        uint32_t class_id = 0;
        if (slot != GROUP_NONE) {
            bool send = on.known_side ? on.send : waits[i].reason == TASKPROF_CHAN_SEND;
            waiters_add(&collector->waiters, slot, send, collected->member.wait_ns);
            class_id = waiters_class(&collector->waiters, slot);
        }
        if (i == 0) {
            collected->key.channel_class = class_id;
            collected->member.channel_slot = slot;
        }
        if (collected->key.channel_class != class_id)
            collected->key.channel_class = 0;
        if (collected->member.channel_slot != slot || !collected->key.channel_class)
            collected->member.channel_slot = GROUP_NONE;
    }
    collected->member.object = 0; // the array's address says nothing
}

// Whether queues make their tasks wait so.
static bool may_be_queue(uint8_t reason)
{
    return reason == TASKPROF_COND_WAIT || reason == TASKPROF_SEMACQUIRE ||
           reason == TASKPROF_WAIT || reason == TASKPROF_SYSCALL;
}

// A task that waits on one thing. The group's number.
static uint32_t collect_waiting(struct collector *collector, const struct collected *collected,
                                uint32_t channel)
{
    uint32_t group = groups_find(&collector->groups, &collected->key);
    struct tally_task found = {
        .group = group,
        .channel = channel,
        .id = collected->member.id,
        .start_ns = collected->member.wait_start_ns,
        .object = collected->member.object,
        .is_thread = collected->member.is_thread,
    };
    if (group == GROUP_NONE)
        collector->out_of_memory = true;
    else
        collect_known(collector, &found, collected->slot);
    return group;
}

void collect_parked(struct collector *collector, struct taskprof_task *task,
                    const struct park_record *record, stack_id stack,
                    const struct taskprof_wait *waits, unsigned waits_count,
                    struct collected *collected)
{
    collected->key.activity = TASK_PARKED;
    collected->key.reason = record->reason;
    collected->key.stack = stack;
    collected->member.wait_start_ns = record->since_ns;
    collected->member.wait_ns = collect_wait_of(collector, record->since_ns);
    collected->member.object = record->object;
    uint32_t channel = TABLE_NONE;
    bool is_select = record->reason == TASKPROF_SELECT;
    bool is_open = false;
    if (is_select) {
        collect_select(collector, waits, waits_count, collected);
    } else {
        struct waits_on on = waiters_of(&collector->waiters, record->object);
        if (on.channel_slot == TABLE_NONE && may_be_queue(record->reason))
            on = waiters_found(&collector->waiters,
                               &(struct inquiry){.stack = stack,
                                                 .task_slot = collected->slot,
                                                 .object = record->object,
                                                 .seq = record->seq},
                               &is_open);
        if (on.channel_slot != TABLE_NONE) {
            bool send = on.known_side ? on.send : record->reason == TASKPROF_CHAN_SEND;
            if (on.known_side)
                collected->key.reason = send ? TASKPROF_CHAN_SEND : TASKPROF_CHAN_RECEIVE;
            channel = on.channel_slot << 1 | send;
            collected->member.channel_slot = on.channel_slot;
            collected->key.channel_class = waiters_class(&collector->waiters, on.channel_slot);
        }
    }
    uint32_t group = is_select ? collect_task(collector, collected)
                               : collect_waiting(collector, collected, channel);
    task->cached_stack = stack;
    task->cached_seq = (uint32_t)record->seq;
    task->cached_group = group;
    atomic_store_explicit(&task->cached_channel, channel, memory_order_relaxed);
    // A select is looked at each time: its array says on which channels it waits.
    bool cacheable = !is_select && !is_open && group != GROUP_NONE;
    task->cached_version = cacheable ? collector->version : 0;
}

enum outcome { NOT_PARKED, PARKED, MOVED, GONE };

// What was read of a pinned task; all of one instant.
struct reading {
    struct park_record record;
    stack_id stack;
    bool stack_is_new;
    struct taskprof_wait waits[WAITS_READ];
    unsigned waits_count;
};

static enum outcome read_park(struct collector *collector, struct taskprof_task *task,
                              struct reading *ret)
{
    enum outcome outcome = NOT_PARKED;
    const struct park_record *record = &ret->record;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (!park_read(task, &ret->record)) {
            if (!(atomic_load_explicit(&task->seq, memory_order_relaxed) & 1))
                return outcome;
            outcome = MOVED;
            continue;
        }
        ret->stack_is_new = (uint32_t)record->seq != task->cached_seq;
        if (ret->stack_is_new)
            capture_parked(&collector->capture, task, record);
        ret->waits_count = 0;
        if (record->reason == TASKPROF_SELECT)
            ret->waits_count = capture_waits(task, record, ret->waits, WAITS_READ);
        // Acquire on every word of the stack keeps this look behind them.
        if (atomic_load_explicit(&task->seq, memory_order_relaxed) == record->seq) {
            ret->stack = ret->stack_is_new ? capture_keep(&collector->capture) : task->cached_stack;
            return PARKED;
        }
        outcome = MOVED;
    }
    return outcome;
}

// Of a thread whose park was read: whether the kernel agrees. Asked without a pin, for it takes
// some system calls.
static enum outcome confirm_park(struct collector *collector, const struct taskprof_task *task,
                                 const struct reading *reading, pid_t tid)
{
    struct confirm_park park = {.task = task,
                                .tid = tid,
                                .seq = reading->record.seq,
                                .sp = reading->record.regs.sp,
                                .is_call = reading->record.is_call};
    int result = confirm_ask(collector, &park);
    return result == -ESRCH ? GONE : result < 0 ? MOVED : result ? PARKED : NOT_PARKED;
}

// A thread of which /proc knows nothing ended without its destructors (a bare exit system call):
// nobody else will end its task.
static void reap(const struct collector *collector, struct taskprof_task *task, uint64_t id)
{
    if (collector->tids.are_ours && atomic_load_explicit(&task->id, memory_order_relaxed) == id)
        task_end(task);
}

void collect_changed(struct collector *collector, struct taskprof_task *task)
{
    struct reading reading;
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    if (seq & 1 && (uint32_t)seq != task->cached_seq)
        capture_prepare(&collector->capture);
    if (!task_pin(task))
        return;
    pid_t tid = task_tid(task);
    struct collected collected = {
        .slot = task->slot,
        .key = {.creation = task->creation, .activity = TASK_SUSPENDED},
        .member = {.id = atomic_load_explicit(&task->id, memory_order_relaxed),
                   .channel_slot = GROUP_NONE,
                   .is_thread = task_kind(task) == TASK_THREAD},
    };
    enum outcome outcome = NOT_PARKED;
    bool starting = atomic_load_explicit(&task->state, memory_order_relaxed) == TASK_STARTING;
    if (!starting)
        outcome = read_park(collector, task, &reading);
    task_unpin(task);

    // From here on the slot may get another task. What is written to its cache is then of an older
    // seq, and void.
    if (outcome == PARKED && collected.member.is_thread && reading.stack_is_new &&
        confirm_now(collector, task, tid, &reading.record))
        outcome = confirm_park(collector, task, &reading, tid);
    if (starting)
        collected.key.activity = TASK_NOT_STARTED;
    else if (outcome == MOVED)
        collected.key.activity = TASK_RUNNING;
    else if (outcome == NOT_PARKED && tid && collect_thread(collector, tid, &collected) == -ESRCH)
        outcome = GONE;

    collector->snapshot->moved += outcome == MOVED;
    if (outcome == PARKED)
        collect_parked(collector, task, &reading.record, reading.stack, reading.waits,
                       reading.waits_count, &collected);
    else if (outcome == GONE)
        reap(collector, task, collected.member.id);
    else
        collect_task(collector, &collected);
}
