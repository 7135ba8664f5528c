// Queues that are not taskprof's, as their descriptions make them known.

#include <taskprof/queue.h>

#include "profiler/arch/capture.h"
#include "profiler/base/clock.h"
#include "profiler/base/errno_keep.h"
#include "profiler/base/slab.h"
#include "profiler/channels/channel.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <string.h>

struct taskprof_queue_handle {
    _Atomic uint64_t link;           // the slab's, when free
    _Atomic uint64_t last_operation; // (task id << 2) | enum channel_operation
    _Atomic uint64_t last_ns;
    _Atomic uint32_t live; // 0: unregistered
    uint32_t index;
    struct channel *entry;
    struct taskprof_queue description;
} __attribute__((aligned(64)));

static struct slab handles = SLAB_INIT(sizeof(struct taskprof_queue_handle));

// One load, as queue.h promises. Whoever writes the number does so under a lock of his own, or with
// plain stores: a race by design, of which ThreadSanitizer need not tell.
__attribute__((no_sanitize("thread"))) static int64_t load(const void *number, size_t size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)number;
    case 2:
        return *(const volatile uint16_t *)number;
    case 4:
        return *(const volatile uint32_t *)number;
    case 8:
        return *(const volatile int64_t *)number;
    default:
        return TASKPROF_UNKNOWN;
    }
}

static int64_t number_of(const void *object, int64_t (*callback)(const void *), const void *number,
                         size_t size)
{
    int64_t value = callback ? callback(object) : load(number, size);
    return value < 0 ? TASKPROF_UNKNOWN : value;
}

// struct channel's `read`.
static void queue_read(const struct channel *entry, struct channel_reading *ret)
{
    const struct taskprof_queue_handle *handle = entry->context;
    const struct taskprof_queue *queue = &handle->description;
    uint64_t last = atomic_load_explicit(&handle->last_operation, memory_order_relaxed);
    *ret = (struct channel_reading){
        .length = number_of(queue->object, queue->length_of, queue->length, queue->length_size),
        .capacity =
            number_of(queue->object, queue->capacity_of, queue->capacity, queue->capacity_size),
        .closed = queue->closed && load(queue->closed, queue->closed_size) != 0,
        .last_operation = (enum channel_operation)(last & 3),
        .last_task = last >> 2,
        .last_ns = atomic_load_explicit(&handle->last_ns, memory_order_relaxed),
    };
}

static bool number_is_valid(const void *number, size_t size)
{
    if (!number)
        return size == 0;
    return (size == 1 || size == 2 || size == 4 || size == 8) && (uintptr_t)number % size == 0;
}

static bool is_valid(const struct taskprof_queue *queue)
{
    // A larger size comes from a later version, with fields that this one does not know.
    return queue && queue->size >= sizeof(*queue) && queue->object &&
           number_is_valid(queue->length, queue->length_size) &&
           number_is_valid(queue->capacity, queue->capacity_size) &&
           number_is_valid(queue->closed, queue->closed_size);
}

static void fill_waits(struct channel *entry, const struct taskprof_queue *queue)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TASKPROF_QUEUE_WAITS; i++) {
        if (queue->receive_waits[i])
            entry->waits[count++] = (uintptr_t)queue->receive_waits[i];
    }
    for (unsigned i = 0; i < TASKPROF_QUEUE_WAITS; i++) {
        if (!queue->send_waits[i])
            continue;
        entry->wait_is_send[count] = 1;
        entry->waits[count++] = (uintptr_t)queue->send_waits[i];
    }
}

static int register_queue(const struct taskprof_queue *queue, stack_id creation,
                          taskprof_queue_handle **ret_handle)
{
    uint32_t index;
    struct taskprof_queue_handle *handle = slab_take(&handles, &index);
    if (!handle)
        return -ENOMEM;
    struct channel *entry = channel_new(queue->name, creation);
    if (!entry) {
        slab_give(&handles, index);
        return -ENOMEM;
    }
    handle->index = index;
    handle->entry = entry;
    handle->description = *queue;
    // The caller's string need not last.
    handle->description.name = NULL;
    atomic_store_explicit(&handle->last_operation, CHANNEL_NEVER, memory_order_relaxed);
    atomic_store_explicit(&handle->last_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&handle->live, 1, memory_order_relaxed);
    entry->object = (uintptr_t)queue->object;
    entry->foreign = true;
    entry->read = queue_read;
    entry->context = handle;
    fill_waits(entry, queue);
    channel_publish(entry);
    *ret_handle = handle;
    return 0;
}

int taskprof_queue_register(const struct taskprof_queue *queue, taskprof_queue_handle **ret_handle)
{
    if (!ret_handle || !is_valid(queue))
        return -EINVAL;
    int saved = errno_get();
    struct arch_regs regs;
    arch_capture(&regs);
    uint64_t section;
    stack_id creation = task_stack_here(&regs, &section);
    int result = register_queue(queue, creation, ret_handle);
    epoch_leave(section);
    errno_set(saved);
    return result;
}

void taskprof_queue_note(taskprof_queue_handle *handle, enum taskprof_queue_operation operation)
{
    static const uint8_t operations[] = {
        [TASKPROF_QUEUE_SENT] = CHANNEL_SENT,
        [TASKPROF_QUEUE_RECEIVED] = CHANNEL_RECEIVED,
        [TASKPROF_QUEUE_CLOSED] = CHANNEL_CLOSED,
    };
    if (!handle || operation < TASKPROF_QUEUE_SENT || operation > TASKPROF_QUEUE_CLOSED)
        return;
    uint64_t task = taskprof_task_id(task_current());
    atomic_store_explicit(&handle->last_operation, task << 2 | operations[operation],
                          memory_order_relaxed);
    atomic_store_explicit(&handle->last_ns, clock_coarse_ns(), memory_order_relaxed);
}

void taskprof_queue_unregister(taskprof_queue_handle *handle)
{
    // Only the first of two calls does anything, as long as the handle was not used again.
    if (!handle || !atomic_exchange_explicit(&handle->live, 0, memory_order_relaxed))
        return;
    channel_end(handle->entry);
    slab_give(&handles, handle->index);
}
