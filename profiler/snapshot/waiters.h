// Channels in a snapshot: their readings, and which of them a waiting task waits on.

#pragma once

#include "profiler/base/table.h"
#include "profiler/channels/inquiry.h"
#include "profiler/snapshot/snapshot.h"

// What an object stands for: a channel, and the side that waits there.
struct waits_on {
    uint32_t channel_slot; // index in channel_slab; TABLE_NONE: the object is no channel's
    bool known_side;       // the object tells the side, whatever the park's reason
    bool send;
};

struct waiters {
    uint32_t version;     // of the channel registry that `objects` was made from
    uint32_t answers;     // inquiry_version then
    bool valid;           // `objects` was ever made
    struct table objects; // address → channel slot << 2 | known side << 1 | send

    // For the snapshot under way:
    uintptr_t last; // the object asked for last, and what it is; 0: none
    struct waits_on last_on;
    struct snapshot_channel *channels; // in the snapshot's arena
    size_t count;
    uint32_t *position; // channel slot → index in channels; TABLE_NONE
    uint32_t slots;     // length of `position`
};

// Reads every channel into the snapshot's arena. *ret_changed: objects may mean something else than
// they did in the last snapshot. 0 or -ENOMEM.
int waiters_begin(struct waiters *waiters, struct snapshot *snapshot, bool *ret_changed);

// What an object stands for.
struct waits_on waiters_of(struct waiters *waiters, uintptr_t object);

// The channel in this slot; NULL if it is not in this snapshot.
static inline struct snapshot_channel *waiters_channel(const struct waiters *waiters, uint32_t slot)
{
    if (slot >= waiters->slots || waiters->position[slot] == TABLE_NONE)
        return NULL;
    return &waiters->channels[waiters->position[slot]];
}

// The same of a wait whose object nobody registered: part of a queue that was found, or TABLE_NONE.
// *ret_open: that is not known yet, and is to be asked again.
struct waits_on waiters_found(const struct waiters *waiters, const struct inquiry *inquiry,
                              bool *ret_open);

// So many tasks wait on this channel.
static inline void waiters_add_many(struct waiters *waiters, uint32_t channel_slot, bool send,
                                    uint64_t count, uint64_t wait_sum_ns, uint64_t wait_max_ns)
{
    struct snapshot_channel *channel = waiters_channel(waiters, channel_slot);
    if (!channel)
        return;
    if (send)
        channel->senders += count;
    else
        channel->receivers += count;
    channel->wait_sum_ns += wait_sum_ns;
    if (wait_max_ns > channel->wait_max_ns)
        channel->wait_max_ns = wait_max_ns;
}

// One task waits on this channel since wait_ns.
static inline void waiters_add(struct waiters *waiters, uint32_t channel_slot, bool send,
                               uint64_t wait_ns)
{
    waiters_add_many(waiters, channel_slot, send, 1, wait_ns, wait_ns);
}

// The channel's class, 0 if it is not in this snapshot.
static inline uint32_t waiters_class(const struct waiters *waiters, uint32_t channel_slot)
{
    const struct snapshot_channel *channel = waiters_channel(waiters, channel_slot);
    return channel ? channel->channel_class : 0;
}

// Sorts the channels, most waiters first, into snapshot->channels, and turns `position` into
// indexes there. 0 or -ENOMEM.
int waiters_finish(struct waiters *waiters, struct snapshot *snapshot);
