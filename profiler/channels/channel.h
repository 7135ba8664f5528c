// The registry of channels: the library's own and foreign queues, as a collector sees them.
//
// Registration, creation stacks and identity are here; how a channel of either kind is used is in
// chan.c and queue.c.

#pragma once

#include "profiler/base/slab.h"
#include "profiler/unwind/stack.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <taskprof/chan.h>
#include <taskprof/queue.h>

enum channel_operation {
    CHANNEL_NEVER,
    CHANNEL_SENT,
    CHANNEL_RECEIVED,
    CHANNEL_CLOSED,
};

// What a channel looks like at one instant.
struct channel_reading {
    int64_t length;   // TASKPROF_UNKNOWN: not known
    int64_t capacity; // likewise
    bool closed;
    enum channel_operation last_operation;
    uint64_t last_task; // id of who did it; 0: not known
    // CLOCK_MONOTONIC_COARSE; 0: not known. Up to one tick (1 to 10 ms) before the operation; a
    // taskprof_chan's up to a second before it, if others came between the two.
    uint64_t last_ns;
    stack_id closed_stack; // where it was closed first; 0: not closed or not known
};

enum { CHANNEL_WAITS = 2 * TASKPROF_QUEUE_WAITS };

enum channel_state { CHANNEL_FREE, CHANNEL_LIVE, CHANNEL_ENDING };

// One channel's entry. Written before `state` says CHANNEL_LIVE (release), constant from then on,
// but for the ids that the collector renews (channels_renew), and which it alone reads.
struct channel {
    _Atomic uint64_t id; // from 1, never used twice; first: the slab's link when free
    _Atomic uint32_t state;
    _Atomic uint32_t pins; // as a task's
    uint32_t index;        // of its slot
    bool foreign;          // a described queue, not a taskprof_chan
    bool found; // likewise, found in memory: its name may be its type's, and nobody made it known
    uint32_t class_id; // same name, or unnamed and same creation stack: same class
    stack_id creation; // where it was made or registered
    uint64_t created_ns;
    uint64_t created_by; // task id
    uintptr_t object;    // its address: what a parked task gives as its object
    // Fills *ret; called by the collector with the channel pinned, on any thread. Takes no lock.
    void (*read)(const struct channel *channel, struct channel_reading *ret);
    void *context;                       // for `read`
    _Atomic uint64_t waited_ns;          // CLOCK_MONOTONIC: a snapshot saw somebody wait; relaxed
    uintptr_t waits[CHANNEL_WAITS];      // objects that stand for this channel …
    uint8_t wait_is_send[CHANNEL_WAITS]; // … and for which side; 0 receive, 1 send
    char name[TASKPROF_CHAN_NAME_SIZE];
} __attribute__((aligned(64)));

extern struct slab channel_slab;

// Grows with every registration and every end: what a collector has worked out about objects and
// channels holds as long as this stays the same. Acquire.
uint32_t channel_version(void);

// A new entry, not yet live: the caller fills object, read, context, waits, then publishes, all in
// one section (base/epoch.h). `name` may be NULL. NULL when out of memory.
struct channel *channel_new(const char *name, stack_id creation);
void channel_publish(struct channel *channel);
// Before it is published: it is of this class, and not of that of its name.
void channel_set_class(struct channel *channel, const char *name);

// Takes an entry out; returns when no collector looks at it any more.
void channel_end(struct channel *channel);

bool channel_pin(struct channel *channel);
void channel_unpin(struct channel *channel);

// The name and creation stack behind a class id. As stacks, classes are kept in generations; the
// collector renews the ids in channels' entries.
struct channel_class {
    stack_id creation; // 0 when named
    char name[TASKPROF_CHAN_NAME_SIZE];
};
extern struct intern channel_class_table;

// The id of the same class in the young generations of classes and stacks.
uint32_t channel_class_renew(uint32_t class_id);

// Renews the ids in the entries of live channels, and those that taskprof's own channels keep of
// their closes and frees. The collector's alone, when the tables of stacks and classes have turned.
void channels_renew(void);
void chans_renew(void);

const struct channel_class *channel_class_get(uint32_t class_id); // NULL: unknown id

// Misuse of channels: counted, and kept with both stacks. What happens again at the same places is
// kept once, with how often, so that a noisy mistake does not hide a rare one.
enum misuse_kind {
    MISUSE_SEND_ON_CLOSED,
    MISUSE_CLOSE_OF_CLOSED,
    MISUSE_CLOSE_OF_NIL,
    MISUSE_USE_AFTER_FREE,
    MISUSE_KINDS
};

enum { MISUSES_KEPT = 64 }; // pairs of places

struct misuse {
    enum misuse_kind kind;
    uint64_t channel;  // id; 0 for nil
    uint64_t task;     // who did it
    uint64_t times;    // at these places; what stands above is of the last time
    uint64_t first_ns; // CLOCK_REALTIME
    uint64_t at_ns;    // of the last time
    stack_id stack;    // where it happened
    stack_id earlier;  // where the channel was first closed, or freed; 0: not known
    char name[TASKPROF_CHAN_NAME_SIZE];
};

// `channel` is the channel's id and `name` its name, both kept beyond its end; 0 and NULL for nil.
// Called in the section in which the ids were got.
void misuse_record(enum misuse_kind kind, uint64_t channel, const char *name, stack_id stack,
                   stack_id earlier);
const char *misuse_text(enum misuse_kind kind); // "send on closed channel", …

// What is known of misuses, of one instant.
struct misuses {
    uint64_t counts[MISUSE_KINDS]; // ever
    uint64_t forgotten; // of them, those that are not kept: at places that were longest ago
    unsigned kept;
    struct misuse latest[MISUSES_KEPT]; // newest first
};
void misuse_read(struct misuses *ret); // any thread

// Renews the ids of stacks in them. The collector's alone, when their table has turned.
void misuse_renew(void);
