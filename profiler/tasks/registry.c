// Slots of tasks: from the slab and back, pins, names.

#include "profiler/base/clock.h"
#include "profiler/base/fence.h"
#include "profiler/base/pins.h"
#include "profiler/tasks/self.h"
#include "profiler/unwind/unwind.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
_Static_assert(sizeof(struct taskprof_task) == 192, "three cache lines");
#endif

struct slab task_slab = SLAB_INIT(sizeof(struct taskprof_task));

// On its own cache line: written at every registration, read by nobody in a hurry.
static _Alignas(64) _Atomic uint64_t last_id;

// What the collector watches: in the low half the number of a run of slots + 1, or 0; the rest
// changes each time, so that nobody waits for a second look at the same run.
static _Alignas(64) _Atomic uint64_t watched;

uint64_t task_next_id(void)
{
    return atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
}

uint64_t task_ids(void)
{
    return atomic_load_explicit(&last_id, memory_order_relaxed);
}

struct taskprof_task *task_new(enum task_kind kind, const char *name, stack_id creation)
{
    uint32_t index;
    struct taskprof_task *task = slab_take(&task_slab, &index);
    if (!task)
        return NULL;
    struct taskprof_task *creator = thread_self.current;
    atomic_store_explicit(&task->id, task_next_id(), memory_order_relaxed);
    atomic_store_explicit(&task->kind_and_depth, (uint16_t)kind, memory_order_relaxed);
    task->creation = creation;
    task->parent = creator ? atomic_load_explicit(&creator->id, memory_order_relaxed) : 0;
    task->created_ns = clock_monotonic_ns();
    task->stack_high = 0;
    task->scheduler = NULL;
    task->context = NULL;
    task->slot = index;
    atomic_store_explicit(&task->tid_or_units, 0, memory_order_relaxed);
    task_set_name(task, name);
    // Release: pairs with task_pin, whose caller then reads what was written above.
    atomic_store_explicit(&task->state, TASK_STARTING, memory_order_release);
    return task;
}

void task_live(struct taskprof_task *task)
{
    atomic_store_explicit(&task->state, TASK_LIVE, memory_order_release);
}

void task_watch(uint32_t slot)
{
    uint64_t looks = (atomic_load_explicit(&watched, memory_order_relaxed) >> 32) + 1;
    // Sequentially consistent, and before the states are looked at: pairs with watch_wait, which
    // comes after TASK_ENDING was set. One of the two sees the other.
    atomic_store(&watched, looks << 32 | (slot / TASK_RUN + 1));
}

void task_unwatch(void)
{
    uint64_t looks = atomic_load_explicit(&watched, memory_order_relaxed) >> 32 << 32;
    // Release: what was read of the tasks comes before; pairs with watch_wait.
    atomic_store_explicit(&watched, looks, memory_order_release);
}

static void watch_wait(uint32_t slot)
{
    uint64_t first = atomic_load(&watched);
    if ((uint32_t)first != slot / TASK_RUN + 1)
        return;
    // Acquire: pairs with the release in task_unwatch.
    for (unsigned tries = 0; atomic_load_explicit(&watched, memory_order_acquire) == first; tries++)
        pins_pause(tries);
}

int task_end(struct taskprof_task *task)
{
    uint8_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    do {
        if (state != TASK_STARTING && state != TASK_LIVE)
            return -EINVAL;
    } while (!atomic_compare_exchange_weak(&task->state, &state, TASK_ENDING));
    pins_wait(&task->pins);
    watch_wait(task->slot);
    // A park that was never left ends here; seq goes on, so that no cache of this task fits the
    // next.
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    atomic_store_explicit(&task->seq, (seq | 1) + 1, memory_order_release);
    fence_stores(); // whoever sees the slot's next link or id sees this seq too
    atomic_store_explicit(&task->state, TASK_FREE, memory_order_release);
    slab_give(&task_slab, task->slot);
    return 0;
}

bool task_pin(struct taskprof_task *task)
{
    atomic_fetch_add(&task->pins, 1);
    uint8_t state = atomic_load(&task->state);
    if (state == TASK_LIVE || state == TASK_STARTING)
        return true;
    task_unpin(task);
    return false;
}

void task_unpin(struct taskprof_task *task)
{
    // Release: the reads of the stack come before; pairs with the load in task_end.
    atomic_fetch_sub(&task->pins, 1);
}

void task_set_name(struct taskprof_task *task, const char *name)
{
    uint64_t words[TASKPROF_NAME_SIZE / 8] = {0};
    if (name)
        memcpy(words, name, strnlen(name, TASKPROF_NAME_SIZE - 1));
    for (size_t i = 0; i < TASKPROF_NAME_SIZE / 8; i++)
        atomic_store_explicit(&task->name[i], words[i], memory_order_relaxed);
}

void task_name(const struct taskprof_task *task, char into[TASKPROF_NAME_SIZE])
{
    for (size_t i = 0; i < TASKPROF_NAME_SIZE / 8; i++) {
        uint64_t word = atomic_load_explicit(&task->name[i], memory_order_relaxed);
        memcpy(into + 8 * i, &word, 8);
    }
    into[TASKPROF_NAME_SIZE - 1] = '\0';
}

stack_id task_stack_here(const struct arch_regs *regs, uint64_t *ret_section)
{
    *ret_section = epoch_enter();
    const struct taskprof_task *task = thread_self.current;
    return unwind_here(regs, task && task_owns_stack(task, regs->sp) ? task->stack_high : 0);
}
