// Making and freeing channels, and the pool that they come from.

#include "profiler/arch/capture.h"
#include "profiler/base/errno_keep.h"
#include "profiler/base/slab.h"
#include "profiler/channels/chan.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Freed channels that are kept back, longest first, before one is used again: as long as it takes
// for that many more to be freed, the use of a freed one is told.
enum { FREED_KEPT = 1024 };

static struct slab chans = SLAB_INIT(sizeof(struct taskprof_chan));

static struct lock freed_lock = LOCK_INIT; // guards the three below
static struct taskprof_chan *freed_first;
static struct taskprof_chan *freed_last;
static size_t freed_count;

static struct taskprof_chan *pool_take(void)
{
    struct taskprof_chan *channel = NULL;
    lock_acquire(&freed_lock);
    if (freed_count > FREED_KEPT) {
        channel = freed_first;
        freed_first = channel->next_freed;
        freed_count--;
    }
    lock_release(&freed_lock);
    uint32_t index;
    return channel ? channel : slab_take(&chans, &index);
}

static void pool_give(struct taskprof_chan *channel)
{
    lock_acquire(&freed_lock);
    channel->next_freed = NULL;
    if (freed_count)
        freed_last->next_freed = channel;
    else
        freed_first = channel;
    freed_last = channel;
    freed_count++;
    lock_release(&freed_lock);
}

// struct channel's `read`.
static void chan_read(const struct channel *entry, struct channel_reading *ret)
{
    const struct taskprof_chan *channel = entry->context;
    uint64_t last = atomic_load_explicit(&channel->last_operation, memory_order_relaxed);
    *ret = (struct channel_reading){
        .length = (int64_t)atomic_load_explicit(&channel->count, memory_order_relaxed),
        .capacity = (int64_t)channel->capacity,
        .closed = atomic_load_explicit(&channel->state, memory_order_relaxed) == CHAN_CLOSED,
        .last_operation = (enum channel_operation)(last & 3),
        .last_task = last >> 2,
        .last_ns = atomic_load_explicit(&channel->last_ns, memory_order_relaxed),
        .closed_stack = atomic_load_explicit(&channel->closed_stack, memory_order_relaxed),
    };
}

static int make(size_t element_size, size_t capacity, const char *name,
                const struct arch_regs *regs, taskprof_chan **ret_channel)
{
    size_t bytes;
    if (!ret_channel || capacity > SIZE_MAX / 2 || element_size > SIZE_MAX / 2 ||
        __builtin_mul_overflow(element_size, capacity, &bytes) || bytes > SIZE_MAX / 2)
        return -EINVAL;
    char *ring = bytes ? malloc(bytes) : NULL;
    if (bytes && !ring)
        return -ENOMEM;
    uint64_t section; // behind malloc, which may never return
    stack_id creation = task_stack_here(regs, &section);
    struct taskprof_chan *channel = pool_take();
    struct channel *entry = channel ? channel_new(name, creation) : NULL;
    if (!entry) {
        epoch_leave(section);
        if (channel)
            pool_give(channel);
        free(ring);
        return -ENOMEM;
    }
    // Under the lock, for those who come with an old pointer to this memory.
    lock_acquire(&channel->lock);
    channel->element_size = element_size;
    channel->capacity = capacity;
    channel->head = 0;
    channel->ring = ring;
    channel->receivers = channel->senders = (struct wait_queue){0};
    atomic_store_explicit(&channel->freed_stack, 0, memory_order_relaxed);
    channel->entry = entry;
    channel->id = atomic_load_explicit(&entry->id, memory_order_relaxed);
    channel->random = channel->id;
    memcpy(channel->name, entry->name, sizeof(channel->name));
    atomic_store_explicit(&channel->spins, spin_limit() / 2, memory_order_relaxed);
    atomic_store_explicit(&channel->count, 0, memory_order_relaxed);
    atomic_store_explicit(&channel->last_operation, CHANNEL_NEVER, memory_order_relaxed);
    atomic_store_explicit(&channel->last_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&channel->closed_stack, 0, memory_order_relaxed);
    atomic_store_explicit(&channel->state, CHAN_OPEN, memory_order_relaxed);
    lock_release(&channel->lock);

    entry->object = (uintptr_t)channel;
    entry->read = chan_read;
    entry->context = channel;
    channel_publish(entry);
    epoch_leave(section);
    *ret_channel = channel;
    return 0;
}

int taskprof_chan_make(size_t element_size, size_t capacity, const char *name,
                       taskprof_chan **ret_channel)
{
    int saved = errno_get();
    struct arch_regs regs;
    arch_capture(&regs);
    int result = make(element_size, capacity, name, &regs, ret_channel);
    errno_set(saved);
    return result;
}

static int release(struct taskprof_chan *channel, const struct arch_regs *regs)
{
    uint64_t section;
    stack_id stack = task_stack_here(regs, &section);
    lock_acquire(&channel->lock);
    int error = 0;
    if (atomic_load_explicit(&channel->state, memory_order_relaxed) == CHAN_FREED)
        error = -ESTALE;
    else if (wait_queue_any(&channel->receivers) || wait_queue_any(&channel->senders))
        error = -EBUSY;
    if (error) {
        lock_release(&channel->lock);
        epoch_leave(section);
        return error;
    }
    struct channel *entry = channel->entry;
    char *ring = channel->ring;
    channel->entry = NULL;
    channel->ring = NULL;
    atomic_store_explicit(&channel->freed_stack, stack, memory_order_relaxed);
    atomic_store_explicit(&channel->state, CHAN_FREED, memory_order_relaxed);
    lock_release(&channel->lock);
    epoch_leave(section);

    channel_end(entry);
    free(ring);
    pool_give(channel);
    return 0;
}

int taskprof_chan_free(taskprof_chan *channel)
{
    if (!channel)
        return -EINVAL;
    int saved = errno_get();
    struct arch_regs regs;
    arch_capture(&regs);
    int result = release(channel, &regs);
    if (result == -ESTALE)
        chan_misused(channel, result, &regs);
    errno_set(saved);
    return result;
}

static void renew(_Atomic stack_id *id)
{
    stack_id old = atomic_load_explicit(id, memory_order_relaxed);
    stack_id renewed = intern_renew(&stack_table, old);
    // Unless another one was noted meanwhile, which is young.
    if (renewed != old)
        atomic_compare_exchange_strong_explicit(id, &old, renewed, memory_order_relaxed,
                                                memory_order_relaxed);
}

void chans_renew(void)
{
    uint32_t high = slab_high(&chans);
    for (uint32_t i = 0; i < high; i++) {
        struct taskprof_chan *channel = slab_at(&chans, i);
        if (!channel)
            continue;
        renew(&channel->closed_stack);
        renew(&channel->freed_stack);
    }
}

// In the child of a fork, on its only thread: locks that threads of the parent held are free again,
// and those threads wait on no channel any more. Coroutines still do.
static void after_fork(void)
{
    lock_reset(&freed_lock);
    uint32_t high = slab_high(&chans);
    for (uint32_t i = 0; i < high; i++) {
        struct taskprof_chan *channel = slab_at(&chans, i);
        if (!channel)
            continue;
        // A thread of the parent was in the midst of a change: its queues may be torn, and nobody
        // who stands in them can be found again.
        if (atomic_load_explicit(&channel->lock.word, memory_order_relaxed)) {
            channel->receivers = channel->senders = (struct wait_queue){0};
            lock_reset(&channel->lock);
        } else if (channel->receivers.first || channel->senders.first) {
            wait_queue_keep_coroutines(&channel->receivers);
            wait_queue_keep_coroutines(&channel->senders);
        }
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    fork_child_hook(after_fork);
}
