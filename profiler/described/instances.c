#include "profiler/described/instances.h"

#include "profiler/base/clock.h"
#include "profiler/base/epoch.h"
#include "profiler/base/lock.h"
#include "profiler/base/memory.h"

#include <stdio.h>
#include <string.h>

enum { IDLE_SWEEPS = 8 };
static const uint64_t IDLE_NS = 60000000000;

enum { INSTANCES_MAX = 4096 };

struct instance {
    bool live;
    const struct layout *layout;
    uintptr_t base;
    struct channel *entry;
    uint64_t found_ns;
    uint32_t idle;                  // sweeps since somebody waited on it
    struct channel_reading reading; // as of the last sweep
};

struct budget instances_budget =
    BUDGET_INIT("described queues", "waits on them are shown by their objects",
                INSTANCES_MAX * sizeof(struct instance));

// Guards all of it, but for `reading` of those that are live: who reads that has the collector's
// lock, as instances_sweep has.
static struct lock lock = LOCK_INIT;
static struct instance *instances;
static uint32_t high; // slots ever used
static bool refused;  // one had no room

// struct channel's `read`: between the sweep and this, nothing of the snapshot happened.
static void instance_read(const struct channel *entry, struct channel_reading *ret)
{
    const struct instance *instance = entry->context;
    *ret = instance->reading;
}

static struct instance *find(const struct layout *layout, uintptr_t base)
{
    for (uint32_t i = 0; i < high; i++)
        if (instances[i].live && instances[i].base == base &&
            instances[i].layout->description == layout->description)
            return &instances[i];
    return NULL;
}

static struct instance *free_slot(void)
{
    if (!instances)
        instances = memory_map(INSTANCES_MAX * sizeof(*instances));
    if (!instances)
        return NULL;
    for (uint32_t i = 0; i < high; i++)
        if (!instances[i].live)
            return &instances[i];
    if ((high + 1) * sizeof(*instances) <= instances_budget.limit)
        return &instances[high++];
    budget_leave_out(&instances_budget);
    refused = true;
    return NULL;
}

static bool publish_in_section(struct instance *instance)
{
    char name[TASKPROF_CHAN_NAME_SIZE];
    char class_name[TASKPROF_CHAN_NAME_SIZE];
    layout_name(instance->layout, instance->base, name);
    snprintf(class_name, sizeof(class_name), "%.*s", (int)sizeof(class_name) - 1,
             instance->layout->description->type);
    struct channel *entry = channel_new(name[0] ? name : class_name, 0);
    if (!entry)
        return false;
    channel_set_class(entry, class_name);
    entry->object = instance->base;
    entry->foreign = true;
    entry->found = true;
    entry->created_by = 0;
    entry->read = instance_read;
    entry->context = instance;
    instance->entry = entry;
    channel_publish(entry);
    return true;
}

static bool publish(struct instance *instance)
{
    uint64_t section = epoch_enter();
    bool published = publish_in_section(instance);
    epoch_leave(section);
    return published;
}

bool instances_get(const struct layout *layout, uintptr_t base, uint32_t *ret_slot,
                   uint64_t *ret_id)
{
    struct instance found = {.layout = layout, .base = base, .found_ns = clock_monotonic_ns()};
    if (layout_read(layout, base, &found.reading) < 0)
        return false;
    lock_acquire(&lock);
    struct instance *instance = find(layout, base);
    if (!instance) {
        instance = free_slot();
        if (instance) {
            *instance = found;
            // Live when all is there: the child of a fork that comes meanwhile has a channel at the
            // most that nobody ends.
            instance->live = publish(instance);
            if (!instance->live)
                instance = NULL;
        }
    }
    if (instance) {
        *ret_slot = instance->entry->index;
        *ret_id = atomic_load_explicit(&instance->entry->id, memory_order_relaxed);
    }
    lock_release(&lock);
    return instance != NULL;
}

static bool is_idle(struct instance *instance, uint64_t now)
{
    uint64_t waited = atomic_load_explicit(&instance->entry->waited_ns, memory_order_relaxed);
    uint64_t since = waited > instance->found_ns ? waited : instance->found_ns;
    if (now < since || now - since < IDLE_NS) {
        instance->idle = 0;
        return false;
    }
    return ++instance->idle > IDLE_SWEEPS;
}

void instances_sweep(void)
{
    uint64_t now = clock_monotonic_ns();
    bool made_room = false;
    lock_acquire(&lock);
    for (uint32_t i = 0; i < high; i++) {
        struct instance *instance = &instances[i];
        if (!instance->live)
            continue;
        if (layout_read(instance->layout, instance->base, &instance->reading) == 0 &&
            !is_idle(instance, now))
            continue;
        instance->live = false;
        channel_end(instance->entry);
        made_room = true;
    }
    bool again = made_room && refused;
    if (again)
        refused = false;
    lock_release(&lock);
    // Those that had none are to be asked about again.
    if (again)
        inquiry_forget();
}

void instances_end_all(void)
{
    lock_acquire(&lock);
    for (uint32_t i = 0; i < high; i++) {
        bool live = instances[i].live;
        instances[i].live = false;
        if (live)
            channel_end(instances[i].entry);
    }
    lock_release(&lock);
}

void instances_after_fork(void)
{
    lock_reset(&lock);
}
