#include "profiler/channels/misuse.h"

#include "profiler/base/clock.h"
#include "profiler/base/lock.h"
#include "profiler/channels/channel.h"
#include "profiler/tasks/task.h"

#include <string.h>

static _Atomic uint64_t counts[MISUSE_KINDS];

static struct lock ring_lock = LOCK_INIT; // guards the two below
static struct misuse ring[MISUSES_KEPT];
static uint64_t written; // in all; the next one goes to written % MISUSES_KEPT

const char *misuse_text(enum misuse_kind kind)
{
    static const char *const texts[MISUSE_KINDS] = {
        [MISUSE_SEND_ON_CLOSED] = "send on closed channel",
        [MISUSE_CLOSE_OF_CLOSED] = "close of closed channel",
        [MISUSE_CLOSE_OF_NIL] = "close of nil channel",
        [MISUSE_USE_AFTER_FREE] = "use of freed channel",
    };
    return (unsigned)kind < MISUSE_KINDS ? texts[kind] : "unknown";
}

void misuse_record(enum misuse_kind kind, uint64_t channel, const char *name, stack_id stack,
                   stack_id earlier)
{
    if ((unsigned)kind >= MISUSE_KINDS)
        return;
    struct misuse misuse = {
        .kind = kind,
        .channel = channel,
        .task = taskprof_task_id(task_current()),
        .at_ns = clock_realtime_ns(),
        .stack = stack,
        .earlier = earlier,
    };
    if (name)
        memcpy(misuse.name, name, strnlen(name, sizeof(misuse.name) - 1));
    atomic_fetch_add_explicit(&counts[kind], 1, memory_order_relaxed);
    lock_acquire(&ring_lock);
    ring[written++ % MISUSES_KEPT] = misuse;
    lock_release(&ring_lock);
}

uint64_t misuse_count(enum misuse_kind kind)
{
    if ((unsigned)kind >= MISUSE_KINDS)
        return 0;
    return atomic_load_explicit(&counts[kind], memory_order_relaxed);
}

unsigned misuse_latest(struct misuse into[MISUSES_KEPT])
{
    lock_acquire(&ring_lock);
    unsigned count = written < MISUSES_KEPT ? (unsigned)written : MISUSES_KEPT;
    for (unsigned i = 0; i < count; i++)
        into[i] = ring[(written - 1 - i) % MISUSES_KEPT];
    lock_release(&ring_lock);
    return count;
}

void misuse_after_fork(void)
{
    lock_reset(&ring_lock);
}
