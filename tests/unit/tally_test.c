// Whatever comes in whatever order: sums that were added up in a tally are those that were added
// one by one.

#include "profiler/snapshot/collector.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS = 5, CHANNELS = 4, TASKS = 400, ROUNDS = 3000 };

static const uint64_t now = 200000ull * 1000000000;

struct side {
    struct collector collector;
    struct snapshot snapshot;
    struct snapshot_channel channels[CHANNELS];
    uint32_t position[CHANNELS];
};

static void set_up_side(struct side *side, uint64_t since)
{
    memset(side, 0, sizeof(*side));
    side->snapshot.monotonic_ns = now;
    side->snapshot.since_ns = since;
    side->collector.snapshot = &side->snapshot;
    side->collector.waiters.channels = side->channels;
    side->collector.waiters.position = side->position;
    side->collector.waiters.slots = CHANNELS;
    for (uint32_t i = 0; i < CHANNELS; i++)
        side->position[i] = i + 1 < CHANNELS ? i : TABLE_NONE; // the last one is gone
    for (uint32_t i = 0; i < GROUPS; i++) {
        struct group_key key = {.stack = i + 1,
                                .reason = i ? TASKPROF_CHAN_RECEIVE : TASKPROF_MUTEX_LOCK};
        assert_int_equal(groups_find(&side->collector.groups, &key), i);
    }
    tally_begin(&side->collector.tally);
}

static void release_side(struct side *side)
{
    groups_forget(&side->collector.groups);
    memory_unmap(side->collector.lock_candidates.list,
                 side->collector.lock_candidates.capacity *
                     sizeof(*side->collector.lock_candidates.list));
}

// Near the limits of ages, the cut, and what stuck_since counts from, or anywhere.
static uint64_t any_start(uint64_t since)
{
    uint64_t near[] = {now, since, 1,
                       now - snapshot_age_limits_ns[(size_t)rand() % (SNAPSHOT_AGES - 1)]};
    uint64_t start = rand() % 4 ? near[rand() % 4] + (uint64_t)(rand() % 5) - 2
                                : (uint64_t)rand() * 100000 % now;
    return rand() % 50 ? start : 0;
}

static void one_by_one(struct collector *collector, const struct tally_task *task, uint32_t slot)
{
    uint64_t wait = collect_wait_of(collector, task->start_ns);
    struct group_member member = {
        .id = task->id,
        .wait_ns = wait,
        .wait_start_ns = task->start_ns,
        .object = task->object,
        .channel_slot = task->channel == TABLE_NONE ? GROUP_NONE : task->channel >> 1,
        .is_thread = task->is_thread,
    };
    collect_into_group(collector, task->group, &member, slot);
    if (task->channel != TABLE_NONE)
        waiters_add(&collector->waiters, task->channel >> 1, task->channel & 1, wait);
}

// Alike as often as not.
static void next_task(struct tally_task *task, uint64_t since)
{
    task->id++;
    if (rand() % 4 == 0)
        task->group = (uint32_t)rand() % GROUPS;
    if (rand() % 4 == 0)
        task->start_ns = any_start(since);
    else if (task->start_ns)
        task->start_ns += (uint64_t)(rand() % 3) - 1;
    if (rand() % 8 == 0)
        task->channel = rand() % 3 ? (uint32_t)rand() % (2 * CHANNELS) : TABLE_NONE;
    if (rand() % 8 == 0)
        task->object = (uintptr_t)rand() % 3;
    if (rand() % 8 == 0)
        task->is_thread = rand() % 2;
}

static void sums_are_those_of_one_by_one(void **state)
{
    (void)state;
    static struct side all, single;
    unsigned together = 0;
    srand(11);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t since = round % 3 ? any_start(now / 2) : 0;
        set_up_side(&all, since);
        set_up_side(&single, since);
        struct tally_task task = {.start_ns = now - 1};
        for (uint32_t i = 0; i < TASKS; i++) {
            next_task(&task, since);
            collect_known(&all.collector, &task, i);
            one_by_one(&single.collector, &task, i);
            together += all.collector.tally.count > 1;
        }
        tally_flush(&all.collector);
        assert_memory_equal(all.collector.groups.list, single.collector.groups.list,
                            GROUPS * sizeof(struct group));
        assert_memory_equal(all.channels, single.channels, sizeof(all.channels));
        assert_int_equal(all.snapshot.tasks, TASKS);
        assert_int_equal(all.collector.lock_candidates.count,
                         single.collector.lock_candidates.count);
        assert_false(all.collector.out_of_memory);
        release_side(&all);
        release_side(&single);
    }
    // Otherwise nothing was shown.
    assert_true(together > ROUNDS * TASKS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
