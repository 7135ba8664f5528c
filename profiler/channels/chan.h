// taskprof_chan from the inside: its fields, and the steps of an operation under its lock.

#pragma once

#include "profiler/base/lock.h"
#include "profiler/channels/chan_wait.h"
#include "profiler/channels/channel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <taskprof/chan.h>

enum chan_state {
    CHAN_FREED, // or never made
    CHAN_OPEN,
    CHAN_CLOSED,
};

// Lies in memory that is never unmapped, so that a late user meets CHAN_FREED rather than a fault.
// The plain fields are guarded by `lock`. The atomic ones are written under it and read by a
// collector without it, relaxed: each stands for itself. Of the two stacks the collector renews the
// ids (chans_renew).
struct taskprof_chan {
    struct lock lock;
    uint32_t noted_second; // clock_second() when last_ns was read, cut to 32 bits
    size_t element_size;
    size_t capacity; // constant while not freed
    size_t head;     // index in `ring` of the oldest element
    _Atomic size_t count;
    char *ring; // from malloc, as the application's own memory; no collector reads it
    // (task id << 2) | enum channel_operation of the last one, in one word so that they belong
    // together.
    _Atomic uint64_t last_operation;
    _Atomic uint64_t last_ns; // of that operation or of one shortly before: see chan_note

    // From here on nothing is written while elements go in and out of the buffer.
    _Atomic uint32_t state;      // enum chan_state
    struct wait_queue receivers; // not empty: nothing is buffered
    struct wait_queue senders;   // not empty: the buffer is full
    uint64_t random;             // for select
    _Atomic uint32_t spins;      // waiter_spin's hint
    _Atomic stack_id closed_stack;
    _Atomic stack_id freed_stack;
    struct channel *entry; // in the registry; NULL when freed
    uint64_t id;           // kept beyond the end of `entry`
    char name[TASKPROF_CHAN_NAME_SIZE];
    struct taskprof_chan *next_freed; // guarded by the pool's lock
} __attribute__((aligned(64)));

// What a step says besides 0 and a negative errno: it can't be done now.
enum { CHAN_BLOCKS = 1 };

// Who does an operation and when; taken before the lock, to keep the locked part short.
struct chan_stamp {
    uint64_t operation; // task id << 2
    uint32_t second;    // clock_second()
};
struct chan_stamp chan_stamp(void);

// Notes the last operation. The lock is held. When it was is read from the clock if the last
// reading is not from this second, or if `at`, the operation's place in the buffer, says so: one in
// CHAN_NOTED of a full round, and always the first. The time on record is so never from more than a
// second before the operation, and never from more than CHAN_NOTED places before it.
enum { CHAN_NOTED = 16 };
void chan_note(struct taskprof_chan *channel, const struct chan_stamp *stamp,
               enum channel_operation operation, size_t at);

// The steps: channel->lock is held and stays held. 0, -EPIPE, -ESTALE, -EINVAL or CHAN_BLOCKS.
// *ret_served is the waiter that was claimed on the way, NULL if none: for waiter_complete once no
// lock is held any more.
int chan_step_send(struct taskprof_chan *channel, const void *element,
                   const struct chan_stamp *stamp, struct waiter **ret_served);
int chan_step_receive(struct taskprof_chan *channel, void *element, bool *ret_ok,
                      const struct chan_stamp *stamp, struct waiter **ret_served);

// Whether such a step would not block. The lock is held.
bool chan_can_send(struct taskprof_chan *channel);
bool chan_can_receive(struct taskprof_chan *channel);

// Whether what an operation gave is a misuse.
static inline bool chan_is_misuse(int result)
{
    return result == -EPIPE || result == -ESTALE || result == -EALREADY;
}

// Records it. `regs` are those of the public function; its stack is where it happened. No lock is
// held.
struct arch_regs;
void chan_misused(struct taskprof_chan *channel, int error, const struct arch_regs *regs);
