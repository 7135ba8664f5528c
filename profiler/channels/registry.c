#include "profiler/channels/channel.h"

#include "profiler/base/clock.h"
#include "profiler/base/intern.h"
#include "profiler/base/pins.h"
#include "profiler/base/utf8.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/task.h"

#include <string.h>

struct slab channel_slab = SLAB_INIT(sizeof(struct channel));

static _Atomic uint64_t last_id;
static _Atomic uint32_t version;
struct intern channel_class_table = INTERN_INIT(
    "channel names", "tasks that wait on these channels are shown as on \"unnamed\"", 16 << 20);

uint32_t channel_version(void)
{
    return atomic_load_explicit(&version, memory_order_acquire);
}

// A name that does not fit is cut where a UTF-8 character begins: what is left of it goes into
// protobuf strings, which must be UTF-8.
static void name_copy(char into[TASKPROF_CHAN_NAME_SIZE], const char *name)
{
    memset(into, 0, TASKPROF_CHAN_NAME_SIZE);
    if (!name)
        return;
    size_t length = strnlen(name, TASKPROF_CHAN_NAME_SIZE);
    if (length == TASKPROF_CHAN_NAME_SIZE)
        length = utf8_cut(name, length - 1);
    memcpy(into, name, length);
}

static uint32_t class_of(const char name[TASKPROF_CHAN_NAME_SIZE], stack_id creation)
{
    struct channel_class class = {.creation = name[0] ? 0 : creation};
    memcpy(class.name, name, sizeof(class.name));
    return intern(&channel_class_table, &class, sizeof(class));
}

const struct channel_class *channel_class_get(uint32_t class_id)
{
    size_t length;
    return intern_get(&channel_class_table, class_id, &length);
}

uint32_t channel_class_renew(uint32_t class_id)
{
    const struct channel_class *old = channel_class_get(class_id);
    if (!old)
        return class_id;
    struct channel_class class = *old;
    // It may have been made just after the turn, of a stack from before.
    class.creation = intern_renew(&stack_table, class.creation);
    if (class.creation == INTERN_FULL && old->creation != INTERN_FULL)
        return INTERN_FULL; // the class is not another one for that
    return class.creation == old->creation
               ? intern_renew(&channel_class_table, class_id)
               : intern_move(&channel_class_table, &class, sizeof(class));
}

void channels_renew(void)
{
    uint32_t high = slab_high(&channel_slab);
    for (uint32_t i = 0; i < high; i++) {
        struct channel *channel = slab_at(&channel_slab, i);
        // Pinned, the slot can't become another channel's. Nobody else reads what is changed.
        if (!channel || !channel_pin(channel))
            continue;
        channel->creation = intern_renew(&stack_table, channel->creation);
        // For one that came when there was no room there is some now.
        channel->class_id = channel->class_id == INTERN_FULL && !channel->found
                                ? class_of(channel->name, channel->creation)
                                : channel_class_renew(channel->class_id);
        channel_unpin(channel);
    }
}

struct channel *channel_new(const char *name, stack_id creation)
{
    uint32_t index;
    struct channel *channel = slab_take(&channel_slab, &index);
    if (!channel)
        return NULL;
    atomic_store_explicit(&channel->id,
                          atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    name_copy(channel->name, name);
    channel->class_id = class_of(channel->name, creation);
    channel->creation = creation;
    channel->created_ns = clock_monotonic_ns();
    channel->created_by = taskprof_task_id(task_current());
    channel->index = index;
    channel->foreign = false;
    channel->found = false;
    atomic_store_explicit(&channel->waited_ns, 0, memory_order_relaxed);
    memset(channel->waits, 0, sizeof(channel->waits));
    memset(channel->wait_is_send, 0, sizeof(channel->wait_is_send));
    return channel;
}

void channel_set_class(struct channel *channel, const char *name)
{
    char copy[TASKPROF_CHAN_NAME_SIZE];
    name_copy(copy, name);
    channel->class_id = class_of(copy, channel->creation);
}

void channel_publish(struct channel *channel)
{
    // Release: pairs with the load in channel_pin.
    atomic_store_explicit(&channel->state, CHANNEL_LIVE, memory_order_release);
    atomic_fetch_add_explicit(&version, 1, memory_order_release);
}

void channel_end(struct channel *channel)
{
    // Sequentially consistent, as is channel_pin: either it sees CHANNEL_ENDING or its pin is seen
    // here.
    atomic_store(&channel->state, CHANNEL_ENDING);
    atomic_fetch_add_explicit(&version, 1, memory_order_release);
    pins_wait(&channel->pins);
    atomic_store_explicit(&channel->state, CHANNEL_FREE, memory_order_relaxed);
    slab_give(&channel_slab, channel->index);
}

bool channel_pin(struct channel *channel)
{
    atomic_fetch_add(&channel->pins, 1);
    if (atomic_load(&channel->state) == CHANNEL_LIVE)
        return true;
    channel_unpin(channel);
    return false;
}

void channel_unpin(struct channel *channel)
{
    // Release: whatever was read under the pin was read before the slot is used again.
    atomic_fetch_sub_explicit(&channel->pins, 1, memory_order_release);
}

// In the child of a fork, on its only thread: nobody else looks at a channel there.
static void after_fork(void)
{
    uint32_t high = slab_high(&channel_slab);
    for (uint32_t i = 0; i < high; i++) {
        struct channel *channel = slab_at(&channel_slab, i);
        if (channel)
            atomic_store_explicit(&channel->pins, 0, memory_order_relaxed);
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    fork_child_hook(after_fork);
}
