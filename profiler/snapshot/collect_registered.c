// The pass over the registry of tasks.

#include "profiler/snapshot/collector.h"
#include "profiler/tasks/task.h"

#include <errno.h>

enum {
    ATTEMPTS = 3,    // at a task that parks and unparks faster than its stack is read
    WAITS_READ = 64, // objects of one select that are looked at
    ROUND = 64,      // one cached park of so many is checked against the kernel each time
};

static uint64_t wait_of(const struct collector *collector, uint64_t since_ns)
{
    uint64_t now = collector->snapshot->monotonic_ns;
    return since_ns < now ? now - since_ns : 0;
}

// What has not changed since the last snapshot adds itself to its group. One cache line is read.
static bool collect_unchanged(struct collector *collector, struct taskprof_task *task,
                              uint32_t slot)
{
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_acquire);
    if (!(seq & 1) || (uint32_t)seq != task->cached_seq ||
        task->cached_version != collector->version || task->cached_group == GROUP_NONE)
        return false;
    uint32_t channel = atomic_load_explicit(&task->cached_channel, memory_order_relaxed);
    struct group_member member = {
        .id = atomic_load_explicit(&task->id, memory_order_acquire),
        .wait_start_ns = atomic_load_explicit(&task->since_ns, memory_order_acquire),
        .object = atomic_load_explicit(&task->object, memory_order_acquire),
        .channel_slot = channel == TABLE_NONE ? GROUP_NONE : channel >> 1,
        .is_thread = task_kind(task) == TASK_THREAD,
    };
    // seq never repeats in a slot: unchanged, all of the above belongs to one park of one task.
    if (atomic_load_explicit(&task->seq, memory_order_relaxed) != seq)
        return false;
    member.wait_ns = wait_of(collector, member.wait_start_ns);
    collect_into_group(collector, task->cached_group, &member, slot);
    if (channel != TABLE_NONE)
        waiters_add(&collector->waiters, member.channel_slot, channel & 1, member.wait_ns);
    return true;
}

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

// The group of a park that has changed, or whose group has; remembers it in the slot.
static void collect_parked(struct collector *collector, struct taskprof_task *task,
                           const struct park_record *record, stack_id stack,
                           const struct taskprof_wait *waits, unsigned waits_count,
                           struct collected *collected)
{
    collected->key.activity = TASK_PARKED;
    collected->key.reason = record->reason;
    collected->key.stack = stack;
    collected->member.wait_start_ns = record->since_ns;
    collected->member.wait_ns = wait_of(collector, record->since_ns);
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
            waiters_add(&collector->waiters, on.channel_slot, send, collected->member.wait_ns);
        }
    }
    uint32_t group = collect_task(collector, collected);
    task->cached_stack = stack;
    task->cached_seq = (uint32_t)record->seq;
    // A select is looked at each time: its array says on which channels it waits.
    task->cached_group = is_select || is_open ? GROUP_NONE : group;
    atomic_store_explicit(&task->cached_channel, channel, memory_order_relaxed);
    task->cached_version = collector->version;
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
    if (collector->tids_are_ours && atomic_load_explicit(&task->id, memory_order_relaxed) == id)
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

// What is cached is believed, but a few tasks are looked at again each time: a park that was left
// by longjmp after it was first seen does not stay for ever, nor does a stack that broke off
// because its code had only just been loaded.
static bool due_for_check(struct collector *collector, const struct taskprof_task *task,
                          uint32_t slot)
{
    if ((slot + collector->round) % ROUND != 0)
        return false;
    if (stack_get(task->cached_stack)->end & STACK_BAD_FRAME)
        return true;
    struct confirm_park park;
    return task_kind(task) == TASK_THREAD && confirm_park_of(task, &park) &&
           confirm_ask(collector, &park) != 1;
}

// Notes a thread's tid as known. false: taskprof's own, or one that has not started: not collected
// in this pass.
static bool register_thread(struct collector *collector, const struct taskprof_task *task,
                            uint32_t slot)
{
    pid_t tid = task_tid(task);
    // Until it runs, its slot and its tid can't be brought together: see collect_starting.
    struct table *table = tid ? &collector->registered : &collector->starting;
    if (!table_put(table, tid ? (uint64_t)tid : slot, slot))
        collector->out_of_memory = true;
    return tid && task_kind(task) != TASK_OWN;
}

// Whether the slot holds a park that its cache does not. A guess: nothing is read in order.
static bool looks_changed(const struct taskprof_task *task)
{
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    return seq & 1 && (uint32_t)seq != task->cached_seq;
}

static const struct taskprof_task *slot_ahead(uint32_t slot, uint32_t high)
{
    return slot < high ? slab_at(&task_slab, slot) : NULL;
}

// Fetches what the pass will need of the slots ahead. The stacks of a million coroutines are in no
// cache: without this, each one is waited for, line after line.
static void look_ahead(struct collector *collector, uint32_t slot)
{
    enum { STACK_AHEAD = 8, REST_AHEAD = 16, SLOT_AHEAD = 32, LINE = 64 };
    const struct taskprof_task *far = slot_ahead(slot + SLOT_AHEAD, collector->high);
    if (far)
        __builtin_prefetch(far);
    const struct taskprof_task *middle = slot_ahead(slot + REST_AHEAD, collector->high);
    if (middle && looks_changed(middle)) {
        __builtin_prefetch(&middle->regs);
        __builtin_prefetch(&middle->stack_high);
    }
    const struct taskprof_task *near = slot_ahead(slot + STACK_AHEAD, collector->high);
    if (!near || !looks_changed(near))
        return;
    uintptr_t pc = atomic_load_explicit(&near->regs[0], memory_order_relaxed);
    uintptr_t sp = atomic_load_explicit(&near->regs[1], memory_order_relaxed);
    // A prefetch of an address that is not there does nothing.
    for (uint64_t lines = *memo_lines(&collector->capture.memo, pc); lines; lines &= lines - 1)
        __builtin_prefetch((const char *)sp + __builtin_ctzll(lines) * LINE);
}

void collect_registered(struct collector *collector)
{
    uint32_t high = collector->high;
    collector->round++;
    confirm_begin(collector);
    for (uint32_t slot = 0; slot < high; slot++) {
        look_ahead(collector, slot);
        struct taskprof_task *task = slab_at(&task_slab, slot);
        // Acquire: pairs with the release of task_new and task_live.
        uint8_t state = task ? atomic_load_explicit(&task->state, memory_order_acquire) : TASK_FREE;
        if (state != TASK_LIVE && state != TASK_STARTING)
            continue;
        if (task_kind(task) != TASK_COROUTINE && !register_thread(collector, task, slot))
            continue;
        if (due_for_check(collector, task, slot))
            task->cached_seq = 0;
        if (!collect_unchanged(collector, task, slot))
            collect_changed(collector, task);
    }
}

void collect_starting(struct collector *collector)
{
    for (size_t i = 0; i < collector->starting.capacity; i++) {
        if (!collector->starting.entries[i].used)
            continue;
        uint32_t slot = (uint32_t)collector->starting.entries[i].key;
        struct taskprof_task *task = slab_at(&task_slab, slot);
        pid_t tid = task_tid(task);
        if (tid && !table_put(&collector->registered, (uint64_t)tid, slot))
            collector->out_of_memory = true;
        if (task_kind(task) == TASK_OWN)
            continue;
        collector->not_started += tid == 0;
        collect_changed(collector, task);
    }
}
