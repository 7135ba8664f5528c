// Slots never move, are used again, and are never given to two threads at once.

#include "profiler/base/slab.h"
#include "tests/test.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 200000, HELD = 16, SLOT = 64 };

static struct slab slab = SLAB_INIT(SLOT);

struct slot {
    _Atomic uint64_t link;
    _Atomic uint64_t owner;
};

static void *take_and_give(void *argument)
{
    uint64_t me = (uintptr_t)argument;
    uint32_t held[HELD] = {0};
    uint64_t collisions = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned at = round % HELD;
        if (round >= HELD) {
            struct slot *old = slab_at(&slab, held[at]);
            collisions += atomic_exchange(&old->owner, 0) != me;
            slab_give(&slab, held[at]);
        }
        struct slot *slot = slab_take(&slab, &held[at]);
        collisions += slot != slab_at(&slab, held[at]);
        collisions += atomic_exchange(&slot->owner, me) != 0;
    }
    return (void *)(uintptr_t)collisions;
}

static void a_slot_has_one_owner_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *collisions;
        pthread_join(threads[i], &collisions);
        assert_null(collisions);
    }
    assert_true(slab_high(&slab) <= (THREADS + 1) * HELD);
}

static void slots_are_zeroed_apart_and_aligned(void **state)
{
    (void)state;
    static struct slab fresh = SLAB_INIT(SLOT);
    char *last = NULL;
    for (unsigned i = 0; i < 3 * SLAB_CHUNK_SLOTS; i++) {
        uint32_t index;
        char *slot = slab_take(&fresh, &index);
        assert_int_equal(index, i);
        assert_int_equal((uintptr_t)slot % 64, 0);
        assert_true(slot != last);
        for (int b = 0; b < SLOT; b++)
            assert_int_equal(slot[b], 0);
        last = slot;
    }
    assert_int_equal(slab_high(&fresh), 3 * SLAB_CHUNK_SLOTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_has_one_owner_at_a_time),
        cmocka_unit_test(slots_are_zeroed_apart_and_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
