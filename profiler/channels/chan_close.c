// Closing, and looking at a channel.

#include "profiler/arch/capture.h"
#include "profiler/base/errno_keep.h"
#include "profiler/channels/chan.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <string.h>

static uint32_t state_of(const struct taskprof_chan *channel)
{
    return atomic_load_explicit(&channel->state, memory_order_relaxed);
}

struct waiting_list {
    struct waiting *first;
    struct waiting **end;
};

// Claims all who wait, serves them, and adds them to the list.
static void serve_all(struct wait_queue *queue, struct waiting_list *list, int result)
{
    struct waiting *waiting;
    while ((waiting = wait_queue_claim(queue))) {
        waiting_serve(waiting, result, false);
        waiting->next = NULL;
        *list->end = waiting;
        list->end = &waiting->next;
    }
}

static int close_open(struct taskprof_chan *channel, const struct arch_regs *regs)
{
    struct chan_stamp stamp = chan_stamp();
    uint64_t section;
    stack_id stack = task_stack_here(regs, &section);
    lock_acquire(&channel->lock);
    uint32_t state = state_of(channel);
    if (state != CHAN_OPEN) {
        lock_release(&channel->lock);
        epoch_leave(section);
        return state == CHAN_CLOSED ? -EALREADY : -ESTALE;
    }
    atomic_store_explicit(&channel->closed_stack, stack, memory_order_relaxed);
    atomic_store_explicit(&channel->state, CHAN_CLOSED, memory_order_relaxed);
    chan_note(channel, &stamp, CHANNEL_CLOSED, 0);
    struct waiting_list served = {.end = &served.first};
    serve_all(&channel->receivers, &served, 0);
    for (struct waiting *receiver = served.first; receiver; receiver = receiver->next) {
        if (receiver->element)
            memset(receiver->element, 0, channel->element_size);
    }
    serve_all(&channel->senders, &served, -EPIPE);
    lock_release(&channel->lock);
    epoch_leave(section);
    for (struct waiting *waiting = served.first, *next; waiting; waiting = next) {
        next = waiting->next;
        waiter_complete(waiting->waiter);
    }
    return 0;
}

static void record_close_of_nil(const struct arch_regs *regs)
{
    uint64_t section;
    stack_id stack = task_stack_here(regs, &section);
    misuse_record(MISUSE_CLOSE_OF_NIL, 0, NULL, stack, 0);
    epoch_leave(section);
}

int taskprof_chan_close(taskprof_chan *channel)
{
    int saved = errno_get();
    struct arch_regs regs;
    arch_capture(&regs);
    int result = -EINVAL;
    if (!channel)
        record_close_of_nil(&regs);
    else
        result = close_open(channel, &regs);
    if (chan_is_misuse(result))
        chan_misused(channel, result, &regs);
    errno_set(saved);
    return result;
}

size_t taskprof_chan_length(const taskprof_chan *channel)
{
    if (!channel)
        return 0;
    if (state_of(channel) == CHAN_FREED) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused((taskprof_chan *)channel, -ESTALE, &regs);
        return 0;
    }
    return atomic_load_explicit(&channel->count, memory_order_relaxed);
}

size_t taskprof_chan_capacity(const taskprof_chan *channel)
{
    if (!channel)
        return 0;
    if (state_of(channel) == CHAN_FREED) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused((taskprof_chan *)channel, -ESTALE, &regs);
        return 0;
    }
    return channel->capacity;
}

bool taskprof_chan_is_closed(const taskprof_chan *channel)
{
    if (!channel)
        return false;
    uint32_t state = state_of(channel);
    if (state == CHAN_FREED) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused((taskprof_chan *)channel, -ESTALE, &regs);
    }
    return state != CHAN_OPEN;
}
