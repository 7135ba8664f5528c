#include "profiler/snapshot/collector.h"

void tally_begin(struct tally *tally)
{
    *tally = (struct tally){.group = GROUP_NONE, .last_group = GROUP_NONE};
}

void tally_flush(struct collector *collector)
{
    struct tally *tally = &collector->tally;
    if (!tally->count)
        return;
    uint64_t now = collector->snapshot->monotonic_ns;
    struct group_members members = {
        .count = tally->count,
        .threads = tally->threads,
        .wait_sum_ns = tally->count * now - tally->start_sum,
        .wait_max_ns = now - tally->oldest_start,
        .oldest_task = tally->oldest_task,
        .object = tally->same_object ? tally->object : 0,
        .channel_slot = tally->channel == TABLE_NONE ? GROUP_NONE : tally->channel >> 1,
        .age = tally->age,
        .stuck = tally->stuck,
    };
    groups_add_members(&collector->groups.list[tally->group], &members);
    collector->snapshot->tasks += members.count;
    if (tally->channel != TABLE_NONE)
        waiters_add_many(&collector->waiters, members.channel_slot, tally->channel & 1,
                         members.count, members.wait_sum_ns, members.wait_max_ns);
    tally->count = 0;
}

// The starts that share age and stuckness with one that lies before the cut.
static void set_range(const struct snapshot *snapshot, struct tally *tally)
{
    uint64_t now = snapshot->monotonic_ns;
    unsigned age = tally->age;
    // Of an age are waits of at least the limit before it and less than its own.
    uint64_t longest = age < SNAPSHOT_AGES - 1 ? snapshot_age_limits_ns[age] - 1 : now - 1;
    uint64_t shortest = age ? snapshot_age_limits_ns[age - 1] : 1;
    uint64_t low = longest < now ? now - longest : 1;
    uint64_t high = now - shortest + 1;
    if (tally->stuck && high > snapshot->since_ns)
        high = snapshot->since_ns;
    if (!tally->stuck && low < snapshot->since_ns)
        low = snapshot->since_ns;
    tally->low = low;
    tally->span = high - low;
}

static void turn(struct collector *collector, const struct tally_task *task)
{
    struct tally *tally = &collector->tally;
    tally_flush(collector);
    tally->group = task->group;
    tally->channel = task->channel;
    tally->threads = 0;
    tally->start_sum = 0;
    tally->oldest_start = UINT64_MAX;
    tally->object = task->object;
    tally->same_object = true;
    tally->age = tally->last_age;
    tally->stuck = tally->last_stuck;
    set_range(collector->snapshot, tally);
}

void tally_single(struct collector *collector, const struct tally_task *task, uint32_t slot)
{
    struct snapshot *snapshot = collector->snapshot;
    struct tally *tally = &collector->tally;
    struct group *group = &collector->groups.list[task->group];
    struct group_member member = {
        .id = task->id,
        .wait_ns = collect_wait_of(collector, task->start_ns),
        .wait_start_ns = task->start_ns,
        .object = task->object,
        .channel_slot = task->channel == TABLE_NONE ? GROUP_NONE : task->channel >> 1,
        .is_thread = task->is_thread,
    };
    if (collector->flags & SNAPSHOT_TASKS || owners_is_lock(group->key.reason) || !member.wait_ns ||
        !member.wait_start_ns) {
        collect_into_group(collector, task->group, &member, slot);
    } else {
        unsigned age = groups_age(member.wait_ns);
        bool stuck = task->start_ns < snapshot->since_ns;
        if (task->group == tally->last_group && age == tally->last_age &&
            stuck == tally->last_stuck) {
            turn(collector, task);
            tally_add(tally, task);
            return;
        }
        tally->last_group = task->group;
        tally->last_age = age;
        tally->last_stuck = stuck;
        groups_add_aged(group, &member, age, stuck);
        snapshot->tasks++;
    }
    if (task->channel != TABLE_NONE)
        waiters_add(&collector->waiters, member.channel_slot, task->channel & 1, member.wait_ns);
}
