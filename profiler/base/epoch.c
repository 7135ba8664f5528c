#include "profiler/base/epoch.h"

#include "profiler/base/lock.h"

#include <stddef.h>

// Counts up, never by more than one beyond the oldest section: a section belongs to this epoch or
// to the one before.
static _Alignas(64) _Atomic uint64_t now = 2;
static _Alignas(64) _Atomic uint64_t inside[2]; // sections, by the parity of their epoch

// Those of the calling thread: what is left of them in the child of a fork that it makes in a
// signal's handler. Initial-exec: reached without a call.
static __thread int64_t own[2] __attribute__((tls_model("initial-exec")));

static struct lock holds_lock = LOCK_INIT; // guards the next two
static struct epoch_hold *holds;
static uint32_t forks; // holds of before the last one are in no list

// Never below 0, where it would stay for ever: a signal's handler may fork between the thread's own
// count and this one, and the child goes on from there.
static void take_off(unsigned parity, uint64_t sections)
{
    if (atomic_fetch_sub(&inside[parity], sections) < sections)
        atomic_store(&inside[parity], 0);
}

// All is sequentially consistent: a section that reads an old epoch is counted before who advances
// looks at the count, and one that reads the new one also sees what was taken out before.
uint64_t epoch_enter(void)
{
    for (;;) {
        uint64_t epoch = atomic_load(&now);
        atomic_fetch_add(&inside[epoch & 1], 1);
        if (atomic_load(&now) == epoch) {
            own[epoch & 1]++;
            return epoch;
        }
        take_off(epoch & 1, 1);
    }
}

void epoch_leave(uint64_t entered)
{
    own[entered & 1]--;
    take_off(entered & 1, 1);
}

void epoch_thread_ends(void)
{
    for (unsigned parity = 0; parity < 2; parity++) {
        // Negative: one that began on another thread ended here.
        int64_t left = own[parity] > 0 ? own[parity] : 0;
        own[parity] = 0;
        take_off(parity, (uint64_t)left);
    }
}

void epoch_hold(struct epoch_hold *hold)
{
    lock_acquire(&holds_lock);
    hold->since = atomic_load(&now);
    hold->forks = forks;
    hold->previous = NULL;
    hold->next = holds;
    if (holds)
        holds->previous = hold;
    holds = hold;
    lock_release(&holds_lock);
}

void epoch_release(struct epoch_hold *hold)
{
    lock_acquire(&holds_lock);
    if (hold->since && hold->forks == forks) {
        *(hold->previous ? &hold->previous->next : &holds) = hold->next;
        if (hold->next)
            hold->next->previous = hold->previous;
    }
    hold->since = 0;
    lock_release(&holds_lock);
}

uint64_t epoch_retire(void)
{
    // A write, so that it has its place among the advances.
    return atomic_fetch_add(&now, 0);
}

static bool is_held(uint64_t ticket)
{
    bool held = false;
    lock_acquire(&holds_lock);
    for (const struct epoch_hold *hold = holds; hold && !held; hold = hold->next)
        held = hold->since <= ticket;
    lock_release(&holds_lock);
    return held;
}

bool epoch_sections_passed(uint64_t ticket)
{
    uint64_t epoch;
    // Those of the ticket's epoch are gone two advances later.
    while ((epoch = atomic_load(&now)) < ticket + 2) {
        if (atomic_load(&inside[(epoch - 1) & 1]))
            return false;
        atomic_compare_exchange_strong(&now, &epoch, epoch + 1);
    }
    return true;
}

bool epoch_passed(uint64_t ticket)
{
    return epoch_sections_passed(ticket) && !is_held(ticket);
}

void epoch_after_fork(void)
{
    lock_reset(&holds_lock);
    holds = NULL;
    forks++;
    for (unsigned parity = 0; parity < 2; parity++)
        atomic_store(&inside[parity], own[parity] > 0 ? (uint64_t)own[parity] : 0);
}
