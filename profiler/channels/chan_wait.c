#include "profiler/channels/chan_wait.h"

#include "profiler/base/clock.h"
#include "profiler/base/errno_keep.h"
#include "profiler/base/lock.h"
#include "profiler/tasks/task.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

enum waiter_word {
    WAITER_AWAKE,
    WAITER_ASLEEP, // a thread: whoever completes it has to wake the futex
    WAITER_WAKING, // a coroutine: its scheduler's wake is under way
    WAITER_COMPLETE,
};

// Pauses that are always tried, where there is more than one processor: so that a channel whose
// peers have become quick is found out; and how many waits come between two that go the whole way.
enum { SPINS_LEAST = 16, SPINS_RETRY = 32 };

// How long a coroutine suspends itself when it was resumed in the midst of its own wake.
enum { WAKING_NS = 20000 };

void waiter_init(struct waiter *waiter)
{
    memset(waiter, 0, sizeof(*waiter));
    waiter->task = task_current();
    if (waiter->task && task_kind(waiter->task) == TASK_COROUTINE) {
        waiter->scheduler = waiter->task->scheduler;
        waiter->context = waiter->task->context;
    }
}

void wait_queue_add(struct wait_queue *queue, struct waiting *waiting, struct waiter *waiter)
{
    waiting->waiter = waiter;
    waiting->queued = true;
    waiting->next = NULL;
    waiting->previous = queue->last;
    if (queue->last)
        queue->last->next = waiting;
    else
        queue->first = waiting;
    queue->last = waiting;
}

void wait_queue_remove(struct wait_queue *queue, struct waiting *waiting)
{
    if (!waiting->queued)
        return;
    waiting->queued = false;
    if (waiting->previous)
        waiting->previous->next = waiting->next;
    else
        queue->first = waiting->next;
    if (waiting->next)
        waiting->next->previous = waiting->previous;
    else
        queue->last = waiting->previous;
}

static bool claim(struct waiter *waiter)
{
    uint32_t free = 0;
    // Relaxed: it decides who serves and orders nothing. The element and the result travel with
    // waiter_complete.
    return atomic_compare_exchange_strong_explicit(&waiter->claimed, &free, 1, memory_order_relaxed,
                                                   memory_order_relaxed);
}

bool wait_queue_any(struct wait_queue *queue)
{
    while (queue->first) {
        if (!atomic_load_explicit(&queue->first->waiter->claimed, memory_order_relaxed))
            return true;
        wait_queue_remove(queue, queue->first);
    }
    return false;
}

struct waiting *wait_queue_claim_first(struct wait_queue *queue)
{
    while (queue->first) {
        struct waiting *waiting = queue->first;
        struct waiter *waiter = waiting->waiter;
        wait_queue_remove(queue, waiting);
        if (claim(waiter))
            return waiting;
    }
    return NULL;
}

void waiting_serve(const struct waiting *waiting, int result, bool ok)
{
    waiting->waiter->result = result;
    waiting->waiter->chosen = waiting->index;
    waiting->waiter->ok = ok;
}

void wait_queue_keep_coroutines(struct wait_queue *queue)
{
    for (struct waiting *waiting = queue->first, *next; waiting; waiting = next) {
        next = waiting->next;
        if (!waiting->waiter->scheduler)
            wait_queue_remove(queue, waiting);
    }
}

void waiter_complete(struct waiter *waiter)
{
    if (waiter->scheduler) {
        int saved = errno_get();
        // The coroutine may be resumed before wake returns, on another thread or inside the call.
        // It stays until the word says WAITER_COMPLETE, so that its context outlives the call.
        atomic_store_explicit(&waiter->word, WAITER_WAKING, memory_order_relaxed);
        waiter->scheduler->wake(waiter->context);
        errno_set(saved);
        // Release: pairs with the acquire in is_complete.
        atomic_store_explicit(&waiter->word, WAITER_COMPLETE, memory_order_release);
        return;
    }
    // Release: as above. From here on the word may be gone; the kernel is handed its address and
    // no more, and a stray wake is something that every user of futexes puts up with.
    if (atomic_exchange_explicit(&waiter->word, WAITER_COMPLETE, memory_order_release) ==
        WAITER_ASLEEP)
        futex_wake(&waiter->word, 1);
}

static bool is_complete(struct waiter *waiter)
{
    return atomic_load_explicit(&waiter->word, memory_order_acquire) == WAITER_COMPLETE;
}

bool waiter_spin(struct waiter *waiter, _Atomic uint32_t *hint)
{
    // A coroutine's peer may need this very thread.
    if (waiter->scheduler)
        return false;
    // Low half of the hint: a running mean of the pauses after which it was complete, 0 where it
    // was not. High half: a count of waits; now and then one goes the whole way, because two that
    // sleep for each other would never find out that they need not. Relaxed, and lost updates do no
    // harm: it is a guess.
    uint32_t old = atomic_load_explicit(hint, memory_order_relaxed);
    uint32_t mean = old & 0xffff;
    uint32_t waits = (old >> 16) + 1;
    uint32_t limit = spin_limit();
    uint32_t most = 2 * mean + SPINS_LEAST;
    if (most > limit || waits % SPINS_RETRY == 0)
        most = limit;
    uint32_t spins = 0;
    while (spins < most && !is_complete(waiter)) {
        spin_pause();
        spins++;
    }
    bool complete = is_complete(waiter);
    uint32_t sample = complete ? spins : 0;
    atomic_store_explicit(hint, waits << 16 | (7 * mean + sample) / 8, memory_order_relaxed);
    return complete;
}

// What is left until `deadline`; 0 when it is over.
static int64_t time_left(uint64_t deadline)
{
    if (deadline == UINT64_MAX)
        return -1;
    uint64_t now = clock_monotonic_ns();
    return now < deadline ? (int64_t)(deadline - now) : 0;
}

static int thread_sleep(struct waiter *waiter, uint64_t deadline)
{
    uint32_t awake = WAITER_AWAKE;
    // Acquire: it may be complete.
    if (!atomic_compare_exchange_strong_explicit(&waiter->word, &awake, WAITER_ASLEEP,
                                                 memory_order_acquire, memory_order_acquire))
        return 0;
    while (!is_complete(waiter)) {
        int64_t left = time_left(deadline);
        if (left == 0) {
            if (claim(waiter))
                return -ETIMEDOUT;
            deadline = UINT64_MAX; // somebody serves it this moment
            continue;
        }
        futex_wait(&waiter->word, WAITER_ASLEEP, left);
    }
    return 0;
}

// A peer is inside wake: gives it time to come out.
static void while_waking(struct waiter *waiter)
{
    for (unsigned left = spin_limit(); left > 0; left--) {
        if (is_complete(waiter))
            return;
        spin_pause();
    }
    // Perhaps that peer can't go on before this coroutine suspends: wake switched to it at once.
    if (waiter->scheduler->park(waiter->context, WAKING_NS) < 0)
        sched_yield();
}

static int coroutine_sleep(struct waiter *waiter, uint64_t deadline)
{
    while (!is_complete(waiter)) {
        if (atomic_load_explicit(&waiter->word, memory_order_relaxed) == WAITER_WAKING) {
            while_waking(waiter);
            continue;
        }
        int64_t left = time_left(deadline);
        int error = left ? waiter->scheduler->park(waiter->context, left) : -ETIMEDOUT;
        if (error >= 0)
            continue;
        if (claim(waiter))
            return error;
        // Served this moment, by another thread: wake is still to come, or under way.
        deadline = UINT64_MAX;
        sched_yield();
    }
    return 0;
}

int waiter_sleep(struct waiter *waiter, int64_t timeout_ns)
{
    uint64_t deadline = UINT64_MAX;
    if (timeout_ns >= 0)
        deadline = clock_monotonic_ns() + (uint64_t)timeout_ns;
    int saved = errno_get();
    int result =
        waiter->scheduler ? coroutine_sleep(waiter, deadline) : thread_sleep(waiter, deadline);
    errno_set(saved);
    return result;
}
