// Which tasks a limited dump shows: the groups share the limit, and the longest waits come first.

#include "text/pick.h"

#include "tests/unit/text_helpers.h"

enum { GROUPS_MAX = 40, TASKS_MAX = 2000 };

static struct snapshot_group groups[GROUPS_MAX];
static struct snapshot_task tasks[TASKS_MAX];
static struct snapshot *snapshot;
static struct pick pick;

static void world(size_t group_count, size_t task_count)
{
    snapshot = world_snapshot(groups, group_count);
    snapshot->task_list_bytes = (task_count + 1) * sizeof(*tasks);
    snapshot->task_list = memory_map(snapshot->task_list_bytes);
    memcpy(snapshot->task_list, tasks, task_count * sizeof(*tasks));
    snapshot->task_count = task_count;
}

static void choose(struct filter filter)
{
    assert_int_equal(pick_tasks(snapshot, &filter, &pick), 0);
}

static void done(void)
{
    pick_release(&pick);
    snapshot_free(snapshot);
}

static uint64_t picked_of(uint32_t group)
{
    uint64_t count = 0;
    for (size_t i = 0; i < pick.count; i++)
        count += snapshot->task_list[pick.order[i]].group == group;
    return count;
}

// Parked tasks, so many of each group; those met first wait shortest.
static size_t crowds(const uint32_t *sizes, size_t count)
{
    size_t task = 0;
    for (uint32_t g = 0; g < count; g++) {
        groups[g] = (struct snapshot_group){.activity = TASK_PARKED, .count = sizes[g]};
        for (uint32_t i = 0; i < sizes[g]; i++, task++)
            tasks[task] = (struct snapshot_task){
                .id = task + 1, .group = g, .wait_start_ns = 900 * SECOND - task};
    }
    return task;
}

static void every_group_is_there_when_the_limit_has_room_for_all(void **state)
{
    static const uint32_t sizes[] = {1000, 5, 2, 1};
    (void)state;
    world(4, crowds(sizes, 4));
    choose((struct filter){.limit = 4});
    assert_int_equal(pick.count, 4);
    for (uint32_t g = 0; g < 4; g++)
        assert_int_equal(snapshot->task_list[pick.order[g]].group, g);
    assert_int_equal(pick.left_out, 1004);
    pick_release(&pick);
    choose((struct filter){.limit = 10});
    assert_int_equal(picked_of(0), 4);
    assert_int_equal(picked_of(1), 3);
    assert_int_equal(picked_of(2), 2);
    assert_int_equal(picked_of(3), 1);
    done();
}

static void with_room_for_some_groups_the_largest_are_shown(void **state)
{
    static const uint32_t sizes[] = {10, 5, 5, 1};
    (void)state;
    world(4, crowds(sizes, 4));
    choose((struct filter){.limit = 2});
    assert_int_equal(pick.count, 2);
    assert_int_equal(picked_of(0), 1);
    assert_int_equal(picked_of(1), 1);
    done();
}

static void the_longest_wait_of_a_group_comes_first_and_what_does_not_wait_last(void **state)
{
    static const uint64_t starts[] = {0, 500, 100, 900, 100, 0, 300};
    static const uint64_t expected[] = {3, 5, 7, 2, 4, 1, 6};
    (void)state;
    groups[0] = (struct snapshot_group){.activity = TASK_PARKED, .count = 7};
    for (size_t i = 0; i < 7; i++)
        tasks[i] = (struct snapshot_task){.id = i + 1, .wait_start_ns = starts[i]};
    world(1, 7);
    for (uint64_t limit = 1; limit <= 8; limit++) {
        choose((struct filter){.limit = limit});
        assert_int_equal(pick.count, limit < 7 ? limit : 7);
        for (size_t i = 0; i < pick.count; i++)
            assert_int_equal(snapshot->task_list[pick.order[i]].id, expected[i]);
        pick_release(&pick);
    }
    choose((struct filter){0});
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(pick.order[i], i);
    done();
}

static void what_the_filters_exclude_takes_no_share(void **state)
{
    static const uint32_t sizes[] = {10, 10, 10};
    (void)state;
    size_t count = crowds(sizes, 3);
    groups[0].activity = TASK_RUNNING;
    // Of group 1 one task alone has waited for so long.
    tasks[10].wait_start_ns = SECOND;
    groups[1].wait_max_ns = groups[2].wait_max_ns = 999 * SECOND;
    for (size_t i = 20; i < 30; i++)
        tasks[i].wait_start_ns = (30 - i) * SECOND;
    world(3, count);
    choose((struct filter){.limit = 3, .has_min_wait = true, .min_wait_ns = 900 * SECOND});
    assert_int_equal(pick.count, 3);
    assert_int_equal(snapshot->task_list[pick.order[0]].id, 11);
    assert_int_equal(snapshot->task_list[pick.order[1]].id, 30);
    assert_int_equal(snapshot->task_list[pick.order[2]].id, 29);
    assert_int_equal(pick.excluded, 19);
    assert_int_equal(pick.left_out, 8);
    done();
}

static void tasks_that_are_picked_stay_in_the_snapshot_and_others_go(void **state)
{
    static const uint32_t sizes[] = {3, 2};
    (void)state;
    world(2, crowds(sizes, 2));
    choose((struct filter){.limit = 2});
    assert_int_equal(pick_apply(&pick, snapshot), 0);
    assert_int_equal(snapshot->task_count, 2);
    assert_int_equal(snapshot->task_list[0].id, 3);
    assert_int_equal(snapshot->task_list[1].id, 5);
    pick_release(&pick);
    choose((struct filter){.channel = "no such"});
    assert_int_equal(pick_apply(&pick, snapshot), 0);
    assert_int_equal(snapshot->task_count, 0);
    assert_non_null(snapshot->task_list);
    done();
}

// The shares by the words of the rule: one of each group, then a second of each, until none is
// left.
static void deal(const uint32_t *sizes, size_t count, uint64_t limit, uint32_t *shares)
{
    bool dealt = true;
    memset(shares, 0, count * sizeof(*shares));
    while (limit && dealt) {
        dealt = false;
        for (size_t g = 0; g < count && limit; g++)
            if (shares[g] < sizes[g]) {
                shares[g]++;
                limit--;
                dealt = true;
            }
    }
}

static void shares_are_what_dealing_one_by_one_gives(void **state)
{
    uint32_t sizes[GROUPS_MAX];
    uint32_t shares[GROUPS_MAX];
    unsigned random = 1;
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t count = 1 + (random = random * 1103515245 + 12345) / 65536 % GROUPS_MAX;
        for (size_t g = 0; g < count; g++)
            sizes[g] = (random = random * 1103515245 + 12345) / 65536 % (round % 2 ? 50 : 4);
        size_t total = crowds(sizes, count);
        uint64_t limit = 1 + (random = random * 1103515245 + 12345) / 65536 % (total + 2);
        deal(sizes, count, limit, shares);
        world(count, total);
        choose((struct filter){.limit = limit});
        uint64_t sum = 0;
        for (uint32_t g = 0; g < count; g++) {
            assert_int_equal(picked_of(g), shares[g]);
            sum += shares[g];
        }
        assert_int_equal(pick.count, sum);
        assert_int_equal(pick.left_out, total - sum);
        for (size_t i = 1; i < pick.count; i++) {
            const struct snapshot_task *before = &snapshot->task_list[pick.order[i - 1]];
            const struct snapshot_task *task = &snapshot->task_list[pick.order[i]];
            assert_true(
                before->group < task->group ||
                (before->group == task->group && before->wait_start_ns < task->wait_start_ns));
        }
        done();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_group_is_there_when_the_limit_has_room_for_all),
        cmocka_unit_test(with_room_for_some_groups_the_largest_are_shown),
        cmocka_unit_test(the_longest_wait_of_a_group_comes_first_and_what_does_not_wait_last),
        cmocka_unit_test(what_the_filters_exclude_takes_no_share),
        cmocka_unit_test(tasks_that_are_picked_stay_in_the_snapshot_and_others_go),
        cmocka_unit_test(shares_are_what_dealing_one_by_one_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
