// Deadlocks are the cycles among waits: each is found once, whole, and nothing else is.

#include "profiler/snapshot/deadlocks.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

// A snapshot in which wait i is for lock i, which the task of wait next[i] holds (SNAPSHOT_NONE:
// one that waits for nothing).
static struct snapshot world(const uint32_t *next, uint32_t count)
{
    struct snapshot snapshot = {0};
    snapshot.lock_waits = arena_alloc(&snapshot.arena, count * sizeof(*snapshot.lock_waits));
    snapshot.locks = arena_alloc(&snapshot.arena, count * sizeof(*snapshot.locks));
    assert_non_null(snapshot.lock_waits);
    assert_non_null(snapshot.locks);
    snapshot.lock_wait_count = snapshot.lock_count = count;
    for (uint32_t i = 0; i < count; i++) {
        snapshot.lock_waits[i].lock = i;
        snapshot.locks[i].owner_wait = next[i];
    }
    return snapshot;
}

// Whether `from` comes back to itself, by walking as far as any cycle can be long.
static bool on_cycle(const uint32_t *next, uint32_t count, uint32_t from)
{
    uint32_t at = next[from];
    for (uint32_t step = 0; step < count && at != SNAPSHOT_NONE && at != from; step++)
        at = next[at];
    return at == from;
}

static bool leads_to_cycle(const uint32_t *next, uint32_t count, uint32_t from)
{
    for (uint32_t step = 0; step <= count; step++) {
        from = next[from];
        if (from == SNAPSHOT_NONE)
            return false;
    }
    return true;
}

static void check(const uint32_t *next, uint32_t count)
{
    struct snapshot snapshot = world(next, count);
    assert_int_equal(deadlocks_find(&snapshot, NULL, NULL), 0);
    uint64_t in = 0;
    uint64_t behind = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct snapshot_lock_wait *wait = &snapshot.lock_waits[i];
        bool stuck = leads_to_cycle(next, count, i);
        assert_int_equal(wait->deadlock != SNAPSHOT_NONE, stuck);
        assert_int_equal(stuck && !wait->behind, on_cycle(next, count, i));
        in += stuck && !wait->behind;
        behind += stuck && wait->behind;
    }
    for (uint32_t d = 0; d < snapshot.deadlock_count; d++) {
        uint32_t at = snapshot.deadlocks[d].first;
        for (uint32_t i = 0; i < snapshot.deadlocks[d].count; i++) {
            assert_int_equal(snapshot.lock_waits[at].deadlock, d);
            at = deadlocks_next(&snapshot, at);
        }
        assert_int_equal(at, snapshot.deadlocks[d].first);
        in -= snapshot.deadlocks[d].count;
        behind -= snapshot.deadlocks[d].behind;
    }
    assert_int_equal(in, 0);
    assert_int_equal(behind, 0);
    arena_release(&snapshot.arena);
}

static void every_small_graph_is_judged_as_by_walking_it(void **state)
{
    // All graphs of up to 5 waits: each wait leads to one of them, or nowhere.
    (void)state;
    for (uint32_t count = 0; count <= 5; count++) {
        uint32_t graphs = 1;
        for (uint32_t i = 0; i < count; i++)
            graphs *= count + 1;
        for (uint32_t graph = 0; graph < graphs; graph++) {
            uint32_t next[5];
            uint32_t rest = graph;
            for (uint32_t i = 0; i < count; i++, rest /= count + 1)
                next[i] = rest % (count + 1) < count ? rest % (count + 1) : SNAPSHOT_NONE;
            check(next, count);
        }
    }
}

static bool refuse(void *context, uint32_t first)
{
    return first != *(const uint32_t *)context && first != *(const uint32_t *)context + 1;
}

static void a_cycle_that_is_not_real_is_none_nor_is_anybody_behind_it(void **state)
{
    // 0 and 1 are one cycle, with 4 behind; 2 and 3 another, with 5 behind.
    static const uint32_t next[] = {1, 0, 3, 2, 0, 2};
    uint32_t refused = 0;
    (void)state;
    struct snapshot snapshot = world(next, 6);
    assert_int_equal(deadlocks_find(&snapshot, refuse, &refused), 0);
    assert_int_equal(snapshot.deadlock_count, 1);
    assert_int_equal(snapshot.deadlocks[0].count, 2);
    assert_int_equal(snapshot.deadlocks[0].behind, 1);
    assert_int_equal(snapshot.lock_waits[4].deadlock, SNAPSHOT_NONE);
    assert_int_equal(snapshot.lock_waits[5].deadlock, 0);
    arena_release(&snapshot.arena);
}

static void a_million_waits_take_one_walk(void **state)
{
    // One chain through all of them, met from its end and from its start: what is walked once is
    // not walked again, or this test would not end.
    enum { MANY = 1000000 };
    uint32_t *next = malloc(MANY * sizeof(*next));
    (void)state;
    assert_non_null(next);
    for (int forward = 0; forward < 2; forward++) {
        for (uint32_t i = 0; i < MANY; i++)
            next[i] = forward ? (i + 1) % MANY : i ? i - 1 : 1;
        struct snapshot snapshot = world(next, MANY);
        assert_int_equal(deadlocks_find(&snapshot, NULL, NULL), 0);
        assert_int_equal(snapshot.deadlock_count, 1);
        assert_int_equal(snapshot.deadlocks[0].count, forward ? MANY : 2);
        assert_int_equal(snapshot.deadlocks[0].behind, forward ? 0 : MANY - 2);
        arena_release(&snapshot.arena);
    }
    free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_graph_is_judged_as_by_walking_it),
        cmocka_unit_test(a_cycle_that_is_not_real_is_none_nor_is_anybody_behind_it),
        cmocka_unit_test(a_million_waits_take_one_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
