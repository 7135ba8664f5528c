// The pass over the registry of tasks, and the short ways through it.

#include "profiler/snapshot/collector.h"
#include "profiler/tasks/task.h"

enum {
    ROUND = 64, // one cached park of so many is checked against the kernel each time
    BLOCK = 16, // slots
    AHEAD = 3,
    LINE = 64,
};

_Static_assert(SLAB_CHUNK_SLOTS % BLOCK == 0 && TASK_RUN % BLOCK == 0,
               "a block lies in one of each");

// The pass, at one block.
struct pass {
    struct taskprof_task *blocks[AHEAD + 1]; // this one, and those ahead; NULL behind the last
    unsigned changed[AHEAD + 1];             // a bit a slot: it will be read whole, with its stack
    bool watching;                           // the run of slots that this block belongs to
};

// What has not changed since the last snapshot adds itself to its group. One cache line is read.
static inline bool collect_unchanged(struct collector *collector, const struct taskprof_task *task,
                                     uint32_t slot)
{
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_acquire);
    if (!(seq & 1) || (uint32_t)seq != task->cached_seq ||
        task->cached_version != collector->version)
        return false;
    struct tally_task found = {
        .group = task->cached_group,
        .channel = atomic_load_explicit(&task->cached_channel, memory_order_relaxed),
        .id = atomic_load_explicit(&task->id, memory_order_acquire),
        .start_ns = atomic_load_explicit(&task->since_ns, memory_order_acquire),
        .object = atomic_load_explicit(&task->object, memory_order_acquire),
        .is_thread = task_kind(task) == TASK_THREAD,
    };
    // seq never repeats in a slot: unchanged, all of the above belongs to one park of one task.
    if (atomic_load_explicit(&task->seq, memory_order_relaxed) != seq)
        return false;
    collect_known(collector, &found, slot);
    return true;
}

// A coroutine in a new park, if its stack is recognised at once. false: the long way will tell.
static bool collect_recognised(struct collector *collector, struct pass *pass,
                               struct taskprof_task *task, uint32_t slot)
{
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    if (!(seq & 1) || task_kind(task) != TASK_COROUTINE)
        return false;
    if (!pass->watching) {
        capture_prepare(&collector->capture);
        task_watch(slot);
        pass->watching = true;
    }
    struct park_record record;
    if (!task_watched_live(task) || !park_read(task, &record) || record.reason == TASKPROF_SELECT)
        return false;
    stack_id stack = (uint32_t)record.seq == task->cached_seq
                         ? task->cached_stack
                         : capture_recognise(&collector->capture, task, &record);
    // Acquire on every word of the stack keeps this look behind them.
    if (!stack || atomic_load_explicit(&task->seq, memory_order_relaxed) != record.seq)
        return false;
    struct collected collected = {
        .slot = slot,
        .key = {.creation = task->creation},
        .member = {.id = atomic_load_explicit(&task->id, memory_order_relaxed),
                   .channel_slot = GROUP_NONE},
    };
    collect_parked(collector, task, &record, stack, NULL, 0, &collected);
    return true;
}

static void unwatch(struct pass *pass)
{
    if (pass->watching)
        task_unwatch();
    pass->watching = false;
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

static inline void collect_slot(struct collector *collector, struct pass *pass,
                                struct taskprof_task *task, uint32_t slot)
{
    // Acquire: pairs with the release of task_new and task_live.
    uint8_t state = atomic_load_explicit(&task->state, memory_order_acquire);
    if (state != TASK_LIVE && state != TASK_STARTING)
        return;
    if (task_kind(task) != TASK_COROUTINE && !register_thread(collector, task, slot))
        return;
    if (due_for_check(collector, task, slot))
        task->cached_seq = 0;
    if (collect_unchanged(collector, task, slot) || collect_recognised(collector, pass, task, slot))
        return;
    unwatch(pass);
    collect_changed(collector, task);
}

// Whether the slot holds a park that its cache does not. A guess: nothing is read in order.
static inline bool looks_changed(const struct taskprof_task *task)
{
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    return seq & 1 && (uint32_t)seq != task->cached_seq;
}

// What is fetched ahead is so in three steps, a block of slots each: their first lines; of those
// that have changed the rest; then what will be read of their stacks. The stacks of a million
// coroutines are in no cache: without this, each one is waited for, line after line.
static inline void fetch_slots(struct pass *pass, unsigned i)
{
    if (pass->blocks[3])
        __builtin_prefetch(&pass->blocks[3][i]);
    if (pass->blocks[2] && looks_changed(&pass->blocks[2][i])) {
        __builtin_prefetch(&pass->blocks[2][i].regs);
        __builtin_prefetch(&pass->blocks[2][i].stack_high);
        pass->changed[2] |= 1u << i;
    }
}

// A whole block's in a row: each stack has pages of its own, and where these are is looked up in
// page tables, for several at a time if no other work lies between.
static void fetch_stacks(struct collector *collector, const struct pass *pass)
{
    for (unsigned left = pass->changed[1]; left; left &= left - 1) {
        const struct taskprof_task *task = &pass->blocks[1][__builtin_ctz(left)];
        uintptr_t pc = atomic_load_explicit(&task->regs[0], memory_order_relaxed);
        uintptr_t sp = atomic_load_explicit(&task->regs[1], memory_order_relaxed);
        // A prefetch of an address that is not there does nothing.
        for (uint64_t lines = *memo_lines(&collector->capture.memo, pc); lines; lines &= lines - 1)
            __builtin_prefetch((const char *)sp + (size_t)__builtin_ctzll(lines) * LINE);
    }
}

static void step_on(struct pass *pass, uint32_t ahead, uint32_t high)
{
    for (int i = 0; i < AHEAD; i++) {
        pass->blocks[i] = pass->blocks[i + 1];
        pass->changed[i] = pass->changed[i + 1];
    }
    pass->blocks[AHEAD] = ahead < high ? slab_at(&task_slab, ahead) : NULL;
    pass->changed[AHEAD] = 0;
}

void collect_registered(struct collector *collector)
{
    uint32_t high = collector->high;
    struct pass pass = {0};
    collector->round++;
    confirm_begin(collector);
    for (uint32_t first = 0; first < AHEAD * BLOCK; first += BLOCK)
        step_on(&pass, first, high);
    for (uint32_t first = 0; first < high; first += BLOCK) {
        step_on(&pass, first + AHEAD * BLOCK, high);
        if (first % TASK_RUN == 0)
            unwatch(&pass);
        fetch_stacks(collector, &pass);
        for (unsigned i = 0; i < BLOCK; i++) {
            fetch_slots(&pass, i);
            if (pass.blocks[0] && first + i < high)
                collect_slot(collector, &pass, &pass.blocks[0][i], first + i);
        }
    }
    unwatch(&pass);
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
