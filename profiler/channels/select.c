// Select: one of several operations, whichever can go on.
//
// All its channels' locks are taken together, in the order of their addresses, so that looking at
// every case and standing in every queue is one step for the rest of the world.

#include "profiler/arch/capture.h"
#include "profiler/channels/chan.h"
#include "profiler/tasks/task.h"

#include <errno.h>

_Static_assert(TASKPROF_SELECT_MAX <= UINT8_MAX, "an index fits into a byte");

// About 4 KiB on the caller's stack; the arrays are touched only as far as there are cases, and the
// last two only to wait.
struct select {
    struct taskprof_case *cases;
    unsigned count;
    unsigned chosen; // also the case that is to blame for an error
    unsigned ordered;
    unsigned wait_count;
    uint8_t order[TASKPROF_SELECT_MAX]; // cases with a channel, by its address
    struct waiter waiter;
    struct taskprof_wait waits[TASKPROF_SELECT_MAX];
    struct waiting waiting[TASKPROF_SELECT_MAX];
};

static void sort_by_address(struct select *select)
{
    select->ordered = 0;
    for (unsigned i = 0; i < select->count; i++) {
        uintptr_t address = (uintptr_t)select->cases[i].channel;
        if (!address)
            continue;
        unsigned at = select->ordered++;
        for (; at > 0; at--) {
            uint8_t before = select->order[at - 1];
            if ((uintptr_t)select->cases[before].channel <= address)
                break;
            select->order[at] = before;
        }
        select->order[at] = (uint8_t)i;
    }
}

// The channel at a place of the order, NULL where the place before has the same one.
static struct taskprof_chan *distinct_channel(const struct select *select, unsigned place)
{
    struct taskprof_chan *channel = select->cases[select->order[place]].channel;
    if (place > 0 && channel == select->cases[select->order[place - 1]].channel)
        return NULL;
    return channel;
}

static void lock_all(const struct select *select)
{
    for (unsigned i = 0; i < select->ordered; i++) {
        struct taskprof_chan *channel = distinct_channel(select, i);
        if (channel)
            lock_acquire(&channel->lock);
    }
}

static void unlock_all(const struct select *select)
{
    for (unsigned i = 0; i < select->ordered; i++) {
        struct taskprof_chan *channel = distinct_channel(select, i);
        if (channel)
            lock_release(&channel->lock);
    }
}

// What makes the whole select fail, whichever case could go on.
static int check(struct select *select)
{
    for (unsigned i = 0; i < select->ordered; i++) {
        const struct taskprof_case *one = &select->cases[select->order[i]];
        select->chosen = select->order[i];
        if (atomic_load_explicit(&one->channel->state, memory_order_relaxed) == CHAN_FREED)
            return -ESTALE;
        if (one->send && !one->element && one->channel->element_size)
            return -EINVAL;
    }
    return 0;
}

static bool can_go_on(const struct taskprof_case *one)
{
    return one->send ? chan_can_send(one->channel) : chan_can_receive(one->channel);
}

// A number below `limit`, from the state of a channel whose lock is held: no state of a thread, no
// line that others write.
static unsigned random_below(struct taskprof_chan *channel, unsigned limit)
{
    uint64_t x = channel->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    channel->random = x;
    return (unsigned)(((x * 0x2545f4914f6cdd1du) >> 32) * limit >> 32);
}

// Puts one of the cases that can go on into select->chosen, each with the same probability.
static bool choose(struct select *select)
{
    uint8_t ready[TASKPROF_SELECT_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < select->ordered; i++) {
        if (can_go_on(&select->cases[select->order[i]]))
            ready[count++] = select->order[i];
    }
    if (count == 0)
        return false;
    struct taskprof_chan *first = select->cases[select->order[0]].channel;
    select->chosen = ready[count > 1 ? random_below(first, count) : 0];
    return true;
}

static int go_on(struct select *select, const struct chan_stamp *stamp, struct waiter **ret_served)
{
    while (choose(select)) {
        struct taskprof_case *one = &select->cases[select->chosen];
        int result =
            one->send ? chan_step_send(one->channel, one->element, stamp, ret_served)
                      : chan_step_receive(one->channel, one->element, &one->ok, stamp, ret_served);
        // The peer that made it ready is a select too, and has just been served elsewhere.
        if (result != CHAN_BLOCKS)
            return result;
    }
    return CHAN_BLOCKS;
}

static struct wait_queue *queue_of(const struct taskprof_case *one)
{
    return one->send ? &one->channel->senders : &one->channel->receivers;
}

static void stand_in_queues(struct select *select)
{
    select->wait_count = 0;
    for (unsigned i = 0; i < select->count; i++) {
        struct taskprof_case *one = &select->cases[i];
        select->waiting[i].queued = false;
        if (!one->channel)
            continue;
        select->waits[select->wait_count++] = (struct taskprof_wait){
            .object = one->channel,
            .reason = one->send ? TASKPROF_CHAN_SEND : TASKPROF_CHAN_RECEIVE,
        };
        select->waiting[i].element = one->element;
        select->waiting[i].index = i;
        wait_queue_add(queue_of(one), &select->waiting[i], &select->waiter);
    }
}

static void leave_queues(struct select *select)
{
    for (unsigned i = 0; i < select->count; i++) {
        struct taskprof_case *one = &select->cases[i];
        if (!one->channel)
            continue;
        // A channel that was freed meanwhile, or even made anew, has no waiting of this select any
        // more; its lock is there all the same.
        lock_acquire(&one->channel->lock);
        wait_queue_remove(queue_of(one), &select->waiting[i]);
        lock_release(&one->channel->lock);
    }
}

// After the waiter was served: which case it was.
static int take_result(struct select *select)
{
    leave_queues(select);
    select->chosen = select->waiter.chosen;
    struct taskprof_case *one = &select->cases[select->chosen];
    if (!one->send)
        one->ok = select->waiter.ok;
    return select->waiter.result;
}

// CHAN_BLOCKS: without may_wait that nothing can go on; with it, that the caller stands in the
// queues and is to park and to call select_end.
static int select_begin(struct select *select, bool may_wait)
{
    sort_by_address(select);
    struct chan_stamp stamp = chan_stamp();
    struct waiter *served = NULL;
    lock_all(select);
    int result = check(select);
    if (result == 0)
        result = go_on(select, &stamp, &served);
    if (result == CHAN_BLOCKS && may_wait) {
        waiter_init(&select->waiter);
        stand_in_queues(select);
    }
    unlock_all(select);
    if (served)
        waiter_complete(served);
    if (result != CHAN_BLOCKS || !may_wait || select->ordered == 0)
        return result;
    struct taskprof_chan *first = select->cases[select->order[0]].channel;
    return waiter_spin(&select->waiter, &first->spins) ? take_result(select) : result;
}

static int select_end(struct select *select, int64_t timeout_ns)
{
    int error = waiter_sleep(&select->waiter, timeout_ns);
    if (!error)
        return take_result(select);
    leave_queues(select);
    return error;
}

int taskprof_select(struct taskprof_case *cases, unsigned count, int64_t timeout_ns,
                    unsigned *ret_chosen)
{
    if (count > TASKPROF_SELECT_MAX || (count && !cases))
        return -EINVAL;
    struct select select;
    select.cases = cases;
    select.count = count;
    int result = select_begin(&select, timeout_ns != TASKPROF_DEFAULT);
    if (result == CHAN_BLOCKS) {
        if (timeout_ns == TASKPROF_DEFAULT)
            return -EAGAIN;
        taskprof_task_park_select(select.waiter.task, select.waits, select.wait_count);
        result = select_end(&select, timeout_ns);
        taskprof_task_unpark(select.waiter.task);
    }
    if (chan_is_misuse(result)) {
        struct arch_regs regs;
        arch_capture(&regs);
        chan_misused(cases[select.chosen].channel, result, &regs);
    }
    if (ret_chosen && (result == 0 || result == -EPIPE))
        *ret_chosen = select.chosen;
    return result;
}
