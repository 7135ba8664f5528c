// Tasks that wait for a channel: what lies on their stacks, and the queues that channels keep of
// them.
//
// A blocked task has one `waiter`, and for each channel that it waits on one `waiting`, which
// stands in that channel's queue under that channel's lock. Whoever can serve it claims the waiter
// (one only gets it: peers, a close, or the task itself when its time is over), fills in the
// result, lets go of the channel's lock, and completes it. A waiter may be gone as soon as it is
// complete.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <taskprof/task.h>

struct waiter {
    _Atomic uint32_t word;    // where it sleeps: enum waiter_word
    _Atomic uint32_t claimed; // 0, then 1 for good
    // Written by the claimer before waiter_complete, read by the task afterwards.
    int result;
    unsigned chosen; // `index` of the waiting that was served
    bool ok;
    struct taskprof_task *task;
    const struct taskprof_scheduler *scheduler; // NULL: the thread itself sleeps
    void *context;
};

struct waiting {
    struct waiting *next; // guarded by the channel's lock, as is all of the queue
    struct waiting *previous;
    struct waiter *waiter;
    void *element; // send: what to send; receive: where to, or NULL
    uint32_t index;
    bool queued;
};

// First come, first served.
struct wait_queue {
    struct waiting *first;
    struct waiting *last;
};

void waiter_init(struct waiter *waiter);

void wait_queue_add(struct wait_queue *queue, struct waiting *waiting, struct waiter *waiter);

// Nothing happens when it does not stand there any more.
void wait_queue_remove(struct wait_queue *queue, struct waiting *waiting);

// Whether somebody waits there whom nobody has claimed. Those who were are taken out.
bool wait_queue_any(struct wait_queue *queue);

// For wait_queue_claim alone: somebody stands there.
struct waiting *wait_queue_claim_first(struct wait_queue *queue);

// Takes out and claims the first one; NULL when there is none.
static inline struct waiting *wait_queue_claim(struct wait_queue *queue)
{
    return queue->first ? wait_queue_claim_first(queue) : NULL;
}

// Writes down how a claimed one was served.
void waiting_serve(const struct waiting *waiting, int result, bool ok);

// In the child of a fork: takes out the threads, which are not there any more.
void wait_queue_keep_coroutines(struct wait_queue *queue);

// Lets a claimed waiter go on. No lock may be held: this calls the coroutine's scheduler.
void waiter_complete(struct waiter *waiter);

// Looks for completion without sleeping, at most for as long as a sleep would cost. true: complete.
// `hint` is a channel's memory of how long that has helped lately: where it never does, next to
// nothing is spent on it. The channel may be freed by then; the hint is atomic, and its memory
// stays.
bool waiter_spin(struct waiter *waiter, _Atomic uint32_t *hint);

// Sleeps until complete (0). A negative errno says that it is not, and never will be: -ETIMEDOUT
// once timeout_ns is over (negative: for ever), or what the scheduler's park said. The caller then
// takes it out of the queues.
int waiter_sleep(struct waiter *waiter, int64_t timeout_ns);
