// Send and receive.

#include "profiler/channels/chan.h"

#include "profiler/arch/capture.h"
#include "profiler/base/clock.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <string.h>

// One blocked send or receive, on the stack of the public function.
struct chan_wait {
    struct waiter waiter;
    struct waiting waiting;
};

struct chan_stamp chan_stamp(void)
{
    const struct taskprof_task *task = task_current();
    uint64_t id = task ? atomic_load_explicit(&task->id, memory_order_relaxed) : 0;
    return (struct chan_stamp){.operation = id << 2, .second = (uint32_t)clock_second()};
}

void chan_note(struct taskprof_chan *channel, const struct chan_stamp *stamp,
               enum channel_operation operation, size_t at)
{
    atomic_store_explicit(&channel->last_operation, stamp->operation | operation,
                          memory_order_relaxed);
    // Reading the clock each time would be a third of what an operation costs.
    if (stamp->second == channel->noted_second && at % CHAN_NOTED != 0)
        return;
    channel->noted_second = stamp->second;
    // The coarse clock: a third of what the exact one costs.
    atomic_store_explicit(&channel->last_ns, clock_coarse_ns(), memory_order_relaxed);
}

static uint32_t state_of(const struct taskprof_chan *channel)
{
    return atomic_load_explicit(&channel->state, memory_order_relaxed);
}

static size_t count_of(const struct taskprof_chan *channel)
{
    return atomic_load_explicit(&channel->count, memory_order_relaxed);
}

// Either may be NULL: a receiver that throws its element away, or elements of no size.
static void copy(void *into, const void *from, size_t size)
{
    if (!into || !from)
        return;
    // Pointers and numbers are what most channels carry: two instructions instead of a call.
    if (size == sizeof(uint64_t))
        memcpy(into, from, sizeof(uint64_t));
    else
        memcpy(into, from, size);
}

static char *ring_at(const struct taskprof_chan *channel, size_t index)
{
    // No ring for elements of no size; nothing is copied then.
    return channel->ring ? channel->ring + index * channel->element_size : NULL;
}

// The place behind the newest of `count` elements.
static size_t ring_tail(const struct taskprof_chan *channel, size_t count)
{
    size_t index = channel->head + count;
    return index < channel->capacity ? index : index - channel->capacity;
}

bool chan_can_send(struct taskprof_chan *channel)
{
    return state_of(channel) != CHAN_OPEN || count_of(channel) < channel->capacity ||
           wait_queue_any(&channel->receivers);
}

bool chan_can_receive(struct taskprof_chan *channel)
{
    return state_of(channel) != CHAN_OPEN || count_of(channel) > 0 ||
           wait_queue_any(&channel->senders);
}

// Inlined, here and where the caller knows more: a call would be a tenth of the operation.
static inline __attribute__((always_inline)) int step_send(struct taskprof_chan *channel,
                                                           const void *element,
                                                           const struct chan_stamp *stamp,
                                                           struct waiter **ret_served)
{
    *ret_served = NULL;
    if (state_of(channel) != CHAN_OPEN)
        return state_of(channel) == CHAN_CLOSED ? -EPIPE : -ESTALE;
    if (!element && channel->element_size)
        return -EINVAL;
    size_t at = 0;
    struct waiting *receiver = wait_queue_claim(&channel->receivers);
    if (receiver) {
        copy(receiver->element, element, channel->element_size);
        waiting_serve(receiver, 0, true);
        *ret_served = receiver->waiter;
    } else {
        size_t count = count_of(channel);
        if (count == channel->capacity)
            return CHAN_BLOCKS;
        at = ring_tail(channel, count);
        copy(ring_at(channel, at), element, channel->element_size);
        atomic_store_explicit(&channel->count, count + 1, memory_order_relaxed);
    }
    chan_note(channel, stamp, CHANNEL_SENT, at);
    return 0;
}

static inline __attribute__((always_inline)) int step_receive(struct taskprof_chan *channel,
                                                              void *element, bool *ret_ok,
                                                              const struct chan_stamp *stamp,
                                                              struct waiter **ret_served)
{
    *ret_served = NULL;
    if (state_of(channel) == CHAN_FREED)
        return -ESTALE;
    size_t count = count_of(channel);
    size_t at = channel->head;
    struct waiting *sender = wait_queue_claim(&channel->senders);
    if (count > 0) {
        copy(element, ring_at(channel, at), channel->element_size);
        channel->head = at + 1 < channel->capacity ? at + 1 : 0;
        // The buffer was full; who has waited longest comes into the place that became free.
        if (sender)
            copy(ring_at(channel, ring_tail(channel, count - 1)), sender->element,
                 channel->element_size);
        else
            atomic_store_explicit(&channel->count, count - 1, memory_order_relaxed);
    } else if (sender) {
        copy(element, sender->element, channel->element_size);
    } else if (state_of(channel) == CHAN_CLOSED) {
        if (element)
            memset(element, 0, channel->element_size);
        *ret_ok = false;
        return 0;
    } else {
        return CHAN_BLOCKS;
    }
    if (sender) {
        waiting_serve(sender, 0, true);
        *ret_served = sender->waiter;
    }
    chan_note(channel, stamp, CHANNEL_RECEIVED, at);
    *ret_ok = true;
    return 0;
}

int chan_step_send(struct taskprof_chan *channel, const void *element,
                   const struct chan_stamp *stamp, struct waiter **ret_served)
{
    return step_send(channel, element, stamp, ret_served);
}

int chan_step_receive(struct taskprof_chan *channel, void *element, bool *ret_ok,
                      const struct chan_stamp *stamp, struct waiter **ret_served)
{
    return step_receive(channel, element, ret_ok, stamp, ret_served);
}

// Gives up the lock after a step that gave CHAN_BLOCKS, with the caller in `queue`.
static int block(struct taskprof_chan *channel, struct wait_queue *queue, void *element,
                 struct chan_wait *wait)
{
    waiter_init(&wait->waiter);
    wait->waiting.element = element;
    wait->waiting.index = 0;
    wait_queue_add(queue, &wait->waiting, &wait->waiter);
    lock_release(&channel->lock);
    return waiter_spin(&wait->waiter, &channel->spins) ? wait->waiter.result : CHAN_BLOCKS;
}

// Without `wait`, CHAN_BLOCKS says that it would have blocked. With it, that the caller stands in
// the queue (a NULL channel has none) and is to park and to call wait_end.
static int send_begin(struct taskprof_chan *channel, const void *element, struct chan_wait *wait)
{
    if (!channel) {
        if (wait)
            waiter_init(&wait->waiter);
        return CHAN_BLOCKS;
    }
    struct chan_stamp stamp = chan_stamp();
    struct waiter *served;
    lock_acquire(&channel->lock);
    int result = step_send(channel, element, &stamp, &served);
    // The cast: nobody writes to what a sender's `waiting` points to.
    if (result == CHAN_BLOCKS && wait)
        return block(channel, &channel->senders, (void *)element, wait);
    lock_release(&channel->lock);
    if (served)
        waiter_complete(served);
    return result;
}

static int receive_begin(struct taskprof_chan *channel, void *element, bool *ret_ok,
                         struct chan_wait *wait)
{
    if (!channel) {
        if (wait)
            waiter_init(&wait->waiter);
        return CHAN_BLOCKS;
    }
    struct chan_stamp stamp = chan_stamp();
    struct waiter *served;
    bool ok = false;
    lock_acquire(&channel->lock);
    int result = step_receive(channel, element, &ok, &stamp, &served);
    if (result == CHAN_BLOCKS && wait) {
        result = block(channel, &channel->receivers, element, wait);
        ok = wait->waiter.ok;
    } else {
        lock_release(&channel->lock);
        if (served)
            waiter_complete(served);
    }
    if (result == 0 && ret_ok)
        *ret_ok = ok;
    return result;
}

static int wait_end(struct taskprof_chan *channel, struct chan_wait *wait, bool send,
                    int64_t timeout_ns)
{
    int error = waiter_sleep(&wait->waiter, timeout_ns);
    if (!error)
        return wait->waiter.result;
    if (channel) {
        lock_acquire(&channel->lock);
        wait_queue_remove(send ? &channel->senders : &channel->receivers, &wait->waiting);
        lock_release(&channel->lock);
    }
    return error;
}

static int receive_end(struct taskprof_chan *channel, struct chan_wait *wait, bool *ret_ok,
                       int64_t timeout_ns)
{
    int result = wait_end(channel, wait, false, timeout_ns);
    if (result == 0 && ret_ok)
        *ret_ok = wait->waiter.ok;
    return result;
}

static enum taskprof_reason send_reason(const struct taskprof_chan *channel)
{
    return channel ? TASKPROF_CHAN_SEND : TASKPROF_CHAN_SEND_NIL;
}

static enum taskprof_reason receive_reason(const struct taskprof_chan *channel)
{
    return channel ? TASKPROF_CHAN_RECEIVE : TASKPROF_CHAN_RECEIVE_NIL;
}

// The public functions park and capture by themselves, each: the function that does it is the leaf
// of the stack that a profile shows.

int taskprof_chan_send(taskprof_chan *channel, const void *element)
{
    struct chan_wait wait;
    int result = send_begin(channel, element, &wait);
    if (result == CHAN_BLOCKS) {
        taskprof_task_park(wait.waiter.task, send_reason(channel), channel);
        result = wait_end(channel, &wait, true, TASKPROF_FOREVER);
        taskprof_task_unpark(wait.waiter.task);
    }
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result;
}

int taskprof_chan_timed_send(taskprof_chan *channel, const void *element, int64_t timeout_ns)
{
    struct chan_wait wait;
    int result = send_begin(channel, element, timeout_ns ? &wait : NULL);
    if (result == CHAN_BLOCKS) {
        if (timeout_ns == 0)
            return -ETIMEDOUT;
        taskprof_task_park(wait.waiter.task, send_reason(channel), channel);
        result = wait_end(channel, &wait, true, timeout_ns);
        taskprof_task_unpark(wait.waiter.task);
    }
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result;
}

int taskprof_chan_try_send(taskprof_chan *channel, const void *element)
{
    if (!channel)
        return -EINVAL;
    int result = send_begin(channel, element, NULL);
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result == CHAN_BLOCKS ? -EAGAIN : result;
}

int taskprof_chan_receive(taskprof_chan *channel, void *element, bool *ret_ok)
{
    struct chan_wait wait;
    int result = receive_begin(channel, element, ret_ok, &wait);
    if (result == CHAN_BLOCKS) {
        taskprof_task_park(wait.waiter.task, receive_reason(channel), channel);
        result = receive_end(channel, &wait, ret_ok, TASKPROF_FOREVER);
        taskprof_task_unpark(wait.waiter.task);
    }
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result;
}

int taskprof_chan_timed_receive(taskprof_chan *channel, void *element, bool *ret_ok,
                                int64_t timeout_ns)
{
    struct chan_wait wait;
    int result = receive_begin(channel, element, ret_ok, timeout_ns ? &wait : NULL);
    if (result == CHAN_BLOCKS) {
        if (timeout_ns == 0)
            return -ETIMEDOUT;
        taskprof_task_park(wait.waiter.task, receive_reason(channel), channel);
        result = receive_end(channel, &wait, ret_ok, timeout_ns);
        taskprof_task_unpark(wait.waiter.task);
    }
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result;
}

int taskprof_chan_try_receive(taskprof_chan *channel, void *element, bool *ret_ok)
{
    if (!channel)
        return -EINVAL;
    int result = receive_begin(channel, element, ret_ok, NULL);
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(channel, result, &regs);
    }
    return result == CHAN_BLOCKS ? -EAGAIN : result;
}
