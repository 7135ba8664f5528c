#include "profiler/snapshot/waiters.h"

#include "profiler/base/sort.h"

#include <errno.h>
#include <string.h>

static bool index_objects(struct table *objects, uint32_t slot, const struct channel *channel)
{
    // Where a queue was found, other things may lie at its address: its first field.
    if (!channel->found && !table_put(objects, channel->object, slot << 2))
        return false;
    for (int i = 0; i < CHANNEL_WAITS; i++) {
        uint32_t side = channel->wait_is_send[i] ? 3 : 2;
        if (channel->waits[i] && !table_put(objects, channel->waits[i], slot << 2 | side))
            return false;
    }
    return true;
}

static void read_channel(const struct channel *channel, struct snapshot_channel *into)
{
    into->id = atomic_load_explicit(&channel->id, memory_order_relaxed);
    into->object = channel->object;
    into->channel_class = channel->class_id;
    into->creation = channel->creation;
    into->created_ns = channel->created_ns;
    into->created_by = channel->created_by;
    memcpy(into->name, channel->name, sizeof(into->name));
    into->foreign = channel->foreign;
    into->found = channel->found;
    channel->read(channel, &into->reading);
}

int waiters_begin(struct waiters *waiters, struct snapshot *snapshot, bool *ret_changed)
{
    uint32_t version = channel_version();
    uint32_t answers = inquiry_version();
    uint32_t high = slab_high(&channel_slab);
    *ret_changed = !waiters->valid || waiters->version != version || waiters->answers != answers;
    if (*ret_changed)
        table_clear(&waiters->objects);
    waiters->valid = false;
    waiters->last = 0;
    waiters->slots = high;
    waiters->count = 0;
    waiters->position = arena_alloc(&snapshot->arena, high * sizeof(*waiters->position));
    waiters->channels = arena_alloc(&snapshot->arena, high * sizeof(*waiters->channels));
    if (!waiters->position || !waiters->channels)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < high; slot++) {
        waiters->position[slot] = TABLE_NONE;
        struct channel *channel = slab_at(&channel_slab, slot);
        if (!channel || !channel_pin(channel))
            continue;
        waiters->position[slot] = (uint32_t)waiters->count;
        read_channel(channel, &waiters->channels[waiters->count++]);
        bool indexed = !*ret_changed || index_objects(&waiters->objects, slot, channel);
        channel_unpin(channel);
        if (!indexed)
            return -ENOMEM;
    }
    waiters->version = version;
    waiters->answers = answers;
    waiters->valid = true;
    return 0;
}

struct waits_on waiters_of(struct waiters *waiters, uintptr_t object)
{
    if (!object)
        return (struct waits_on){.channel_slot = TABLE_NONE};
    if (object == waiters->last)
        return waiters->last_on;
    uint32_t found = table_get(&waiters->objects, object);
    waiters->last = object;
    waiters->last_on = found == TABLE_NONE ? (struct waits_on){.channel_slot = TABLE_NONE}
                                           : (struct waits_on){.channel_slot = found >> 2,
                                                               .known_side = found & 2,
                                                               .send = found & 1};
    return waiters->last_on;
}

struct waits_on waiters_found(const struct waiters *waiters, const struct inquiry *inquiry,
                              bool *ret_open)
{
    struct waits_on on = {.channel_slot = TABLE_NONE};
    struct inquiry_answer answer;
    enum inquiry_state state = inquiry_find(inquiry, &answer);
    *ret_open = state == INQUIRY_OPEN;
    if (state != INQUIRY_YES)
        return on;
    const struct snapshot_channel *channel = waiters_channel(waiters, answer.channel_slot);
    *ret_open = !channel || channel->id != answer.channel_id; // found since this snapshot began
    if (*ret_open)
        return on;
    on.channel_slot = answer.channel_slot;
    on.known_side = true;
    on.send = answer.side == INQUIRY_SEND;
    // Nobody waits to receive from a queue that has something, nor to send to an empty one.
    if (answer.side == INQUIRY_BY_LENGTH)
        on.send = channel->reading.length > 0;
    return on;
}

// A queue that was found stays as long as somebody waits on it.
static void note_waited(const struct waiters *waiters, uint32_t slot, uint64_t now)
{
    const struct snapshot_channel *seen = waiters_channel(waiters, slot);
    if (!seen || !seen->found || !(seen->senders + seen->receivers))
        return;
    struct channel *channel = slab_at(&channel_slab, slot);
    atomic_store_explicit(&channel->waited_ns, now, memory_order_relaxed);
}

int waiters_finish(struct waiters *waiters, struct snapshot *snapshot)
{
    size_t count = waiters->count;
    struct sort_item *order = arena_alloc(&snapshot->arena, count * sizeof(*order));
    uint32_t *moved_to = arena_alloc(&snapshot->arena, count * sizeof(*moved_to));
    struct snapshot_channel *sorted = arena_alloc(&snapshot->arena, count * sizeof(*sorted));
    if (!order || !moved_to || !sorted)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        order[i] =
            (struct sort_item){.key = waiters->channels[i].senders + waiters->channels[i].receivers,
                               .index = (uint32_t)i};
    sort_descending(order, count);
    for (uint32_t slot = 0; slot < waiters->slots; slot++)
        note_waited(waiters, slot, snapshot->monotonic_ns);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = waiters->channels[order[i].index];
        moved_to[order[i].index] = (uint32_t)i;
    }
    for (uint32_t slot = 0; slot < waiters->slots; slot++)
        if (waiters->position[slot] != TABLE_NONE)
            waiters->position[slot] = moved_to[waiters->position[slot]];
    snapshot->channels = sorted;
    snapshot->channel_count = count;
    snapshot->channel_of_slot = waiters->position;
    snapshot->channel_slots = waiters->slots;
    return 0;
}
