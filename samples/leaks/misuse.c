// close-twice and send-after-close: not waits but misuse, where Go would panic. taskprof's channels
// return an error instead and keep both places for the channel profile.

#include "leaks.h"

#include <errno.h>
#include <stdatomic.h>

// Two ends of a batch, each of which may be the one that is reached first.
struct batch {
    taskprof_chan *items;
    atomic_flag closed;
};

SEEN_IN_STACKS static int finish_batch(struct batch *batch)
{
    int error = taskprof_chan_close(batch->items);
    return error;
}

SEEN_IN_STACKS static int abandon_batch(struct batch *batch)
{
    int error = taskprof_chan_close(batch->items); // the misuse: finish_batch has closed it already
    return error;
}

static int close_twice(void)
{
    struct batch batch = {.closed = ATOMIC_FLAG_INIT};
    int error = taskprof_chan_make(sizeof(int), 1, "batch", &batch.items);
    if (error < 0)
        return error;
    finish_batch(&batch);
    error = abandon_batch(&batch);
    taskprof_chan_free(batch.items);
    return error == -EALREADY ? 0 : -EAGAIN;
}

// Whoever comes first closes; the other one sees that it is done.
static int close_once(struct batch *batch, int (*close_batch)(struct batch *))
{
    return atomic_flag_test_and_set(&batch->closed) ? 0 : close_batch(batch);
}

static int close_twice_fixed(void)
{
    struct batch batch = {.closed = ATOMIC_FLAG_INIT};
    int error = taskprof_chan_make(sizeof(int), 1, "batch", &batch.items);
    if (error < 0)
        return error;
    close_once(&batch, finish_batch);
    error = close_once(&batch, abandon_batch);
    taskprof_chan_free(batch.items);
    return error;
}

SEEN_IN_STACKS static int stop_accepting(taskprof_chan *inbox)
{
    int error = taskprof_chan_close(inbox);
    return error;
}

SEEN_IN_STACKS static int accept_order(taskprof_chan *inbox, int order)
{
    int error = taskprof_chan_send(inbox, &order);
    return error;
}

static int send_after_close(void)
{
    taskprof_chan *inbox;
    int error = taskprof_chan_make(sizeof(int), 1, "inbox", &inbox);
    if (error < 0)
        return error;
    stop_accepting(inbox);
    error = accept_order(inbox, 1); // the misuse: a late order
    taskprof_chan_free(inbox);
    return error == -EPIPE ? 0 : -EAGAIN;
}

static int send_after_close_fixed(void)
{
    taskprof_chan *inbox;
    int error = taskprof_chan_make(sizeof(int), 1, "inbox", &inbox);
    if (error < 0)
        return error;
    error = accept_order(inbox, 1);
    stop_accepting(inbox); // by the one who sends, behind the last send
    taskprof_chan_free(inbox);
    return error;
}

const struct pattern pattern_close_twice = {
    .name = "close-twice",
    .story = "two ends of a batch both close its channel",
    .waits = "abandon_batch",
    .reason = "close of closed channel",
    .channel = "batch",
    .earlier = "finish_batch",
    .leaky = close_twice,
    .fixed = close_twice_fixed,
};

const struct pattern pattern_send_after_close = {
    .name = "send-after-close",
    .story = "a late order is sent to an inbox that is closed",
    .waits = "accept_order",
    .reason = "send on closed channel",
    .channel = "inbox",
    .earlier = "stop_accepting",
    .leaky = send_after_close,
    .fixed = send_after_close_fixed,
};
