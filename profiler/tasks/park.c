// The park record: written by its task on the way into a wait, read by a collector at any time.

#include "profiler/tasks/park.h"

#include "profiler/base/clock.h"
#include "profiler/base/fence.h"
#include "profiler/tasks/self.h"
#include "profiler/tasks/stack_bounds.h"

#include <errno.h>
#include <string.h>

enum { REGS = sizeof(struct arch_regs) / sizeof(uintptr_t), REG_SP = 1 };

_Static_assert(offsetof(struct arch_regs, sp) == REG_SP * sizeof(uintptr_t), "sp comes second");
_Static_assert(sizeof(((struct taskprof_task *)0)->regs) == sizeof(struct arch_regs), "one copy");

// Whether the park that is on record is still under way, seen from a park that starts at `sp`. One
// that was left by longjmp or unwinding is not: a park from the same frame or an outer one comes.
static inline bool outer_is_alive(struct taskprof_task *task, uintptr_t sp)
{
    uintptr_t outer = atomic_load_explicit(&task->regs[REG_SP], memory_order_relaxed);
    return stack_bounds_park_lives(task, outer, sp, true);
}

// A signal handler may interrupt this anywhere, park, and unpark. While `depth` is not 0 its parks
// only nest: so depth is claimed first, with the sp that nesting is judged by, and given back last.
static inline __attribute__((always_inline)) void record(struct taskprof_task *task,
                                                         enum taskprof_reason reason,
                                                         uintptr_t object, unsigned waits,
                                                         bool is_call, const struct arch_regs *regs)
{
    uint16_t depth = atomic_load_explicit(&task->kind_and_depth, memory_order_relaxed);
    if (depth >= TASK_DEPTH && outer_is_alive(task, regs->sp)) {
        if (depth <= UINT16_MAX - TASK_DEPTH)
            atomic_store_explicit(&task->kind_and_depth, depth + TASK_DEPTH, memory_order_relaxed);
        return;
    }
    if (depth >= TASK_DEPTH) { // one that was left without unpark: it is over
        uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
        atomic_store_explicit(&task->seq, (seq + 1) & ~(uint64_t)1, memory_order_release);
        fence_stores();
    }
    atomic_store_explicit(&task->regs[REG_SP], regs->sp, memory_order_release);
    atomic_store_explicit(&task->kind_and_depth, depth % TASK_DEPTH + TASK_DEPTH,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    // Each release below keeps the store behind the even seq that came before: a reader that sees a
    // new field also sees that the old park is over.
    const uintptr_t *from = (const uintptr_t *)regs;
#pragma GCC unroll 16
    for (size_t i = 0; i < REGS; i++)
        atomic_store_explicit(&task->regs[i], from[i], memory_order_release);
    atomic_store_explicit(&task->object, object, memory_order_release);
    atomic_store_explicit(&task->waits, (uint16_t)waits, memory_order_release);
    atomic_store_explicit(&task->reason, (uint8_t)(reason | (is_call ? TASK_REASON_CALL : 0)),
                          memory_order_release);
    atomic_store_explicit(&task->since_ns, is_call ? clock_coarse_ns() : clock_monotonic_ns(),
                          memory_order_release);
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    // Release: pairs with the collector's acquire of an odd seq; the frames above are whole.
    atomic_store_explicit(&task->seq, seq | 1, memory_order_release);
}

static inline void unpark(struct taskprof_task *task)
{
    uint16_t depth = atomic_load_explicit(&task->kind_and_depth, memory_order_relaxed);
    if (depth < TASK_DEPTH)
        return;
    if (depth < 2 * TASK_DEPTH) {
        uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
        atomic_store_explicit(&task->seq, (seq + 1) & ~(uint64_t)1, memory_order_release);
        // The task's own frames change from here on: whoever reads one of those changes must see
        // the even seq.
        fence_stores();
    }
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&task->kind_and_depth, depth - TASK_DEPTH, memory_order_relaxed);
}

void park_enter_task(struct taskprof_task *task, enum taskprof_reason reason, const void *object,
                     const struct arch_regs *regs)
{
    if (task)
        record(task, reason, (uintptr_t)object, 0, false, regs);
}

void park_enter(enum taskprof_reason reason, const void *object, const struct arch_regs *regs)
{
    struct taskprof_task *task = task_current();
    if (task)
        record(task, reason, (uintptr_t)object, 0, false, regs);
}

// Of threads that have their slot, with no call on the way: most of these parks are around calls
// that return at once.
void park_enter_call(enum taskprof_reason reason, const void *object, const struct arch_regs *regs)
{
    struct taskprof_task *task = thread_self.current;
    if (__builtin_expect(!task, 0))
        task = task_current();
    if (task)
        record(task, reason, (uintptr_t)object, 0, true, regs);
}

void park_enter_task_select(struct taskprof_task *task, const struct taskprof_wait *waits,
                            unsigned count, const struct arch_regs *regs)
{
    if (!task)
        return;
    record(task, count ? TASKPROF_SELECT : TASKPROF_SELECT_NO_CASES, (uintptr_t)waits,
           count < UINT16_MAX ? count : UINT16_MAX, false, regs);
}

void park_enter_select(const struct taskprof_wait *waits, unsigned count,
                       const struct arch_regs *regs)
{
    park_enter_task_select(task_current(), waits, count, regs);
}

void taskprof_unpark(void)
{
    struct taskprof_task *task = thread_self.current;
    if (task)
        unpark(task);
}

void taskprof_task_unpark(struct taskprof_task *task)
{
    if (task)
        unpark(task);
}

bool park_read(const struct taskprof_task *task, struct park_record *ret)
{
    // Acquire: pairs with the release in record; what the record says was true when it was set.
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_acquire);
    if (!(seq & 1))
        return false;
    uintptr_t *regs = (uintptr_t *)&ret->regs;
    // Acquire each: none of these loads may slip behind the second look at seq.
    for (size_t i = 0; i < REGS; i++)
        regs[i] = atomic_load_explicit(&task->regs[i], memory_order_acquire);
    ret->object = atomic_load_explicit(&task->object, memory_order_acquire);
    ret->waits = atomic_load_explicit(&task->waits, memory_order_acquire);
    uint8_t reason = atomic_load_explicit(&task->reason, memory_order_acquire);
    ret->reason = reason & (uint8_t)~TASK_REASON_CALL;
    ret->is_call = reason & TASK_REASON_CALL;
    ret->since_ns = atomic_load_explicit(&task->since_ns, memory_order_acquire);
    ret->seq = seq;
    return atomic_load_explicit(&task->seq, memory_order_relaxed) == seq;
}
