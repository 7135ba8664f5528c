// Reading a profile piece by piece, and the growing tables behind it.

#include "tests/unit/pprof_fixture.h"

#include "proto/index.h"

#include <errno.h>

static _Atomic uint64_t allocations;

// The sanitizers bring a malloc of their own; without them every call is counted here.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
    allocations++;
    return __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    allocations++;
    return __libc_realloc(ptr, size);
}
#endif

static struct pprof_stream *stream_of(const struct snapshot *snapshot)
{
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_goroutine(snapshot, NULL, &stream), 0);
    return stream;
}

static void pieces_of_any_size_make_the_same_profile(void **state)
{
    (void)state;
    struct snapshot_group groups[400];
    for (size_t i = 0; i < 400; i++)
        groups[i] = (struct snapshot_group){.count = i + 1, .wait_sum_ns = i * i * 7919};
    struct snapshot snapshot = fake_snapshot(groups, 400);
    unsigned char *whole;
    size_t length = drain(stream_of(&snapshot), 1 << 20, &whole);
    const size_t steps[] = {1, 7, 4096};
    for (size_t i = 0; i < 3; i++) {
        unsigned char *pieces;
        assert_int_equal(drain(stream_of(&snapshot), steps[i], &pieces), length);
        assert_memory_equal(pieces, whole, length);
        free(pieces);
    }
    free(whole);
}

static void the_end_stays_the_end_and_no_room_is_an_error(void **state)
{
    (void)state;
    struct snapshot snapshot = fake_snapshot(NULL, 0);
    struct pprof_stream *stream = stream_of(&snapshot);
    char room[4096];
    assert_int_equal(pprof_read(stream, room, 0), -EINVAL);
    assert_true(pprof_read(stream, room, sizeof(room)) > 0);
    assert_int_equal(pprof_read(stream, room, sizeof(room)), 0);
    assert_int_equal(pprof_read(stream, room, sizeof(room)), 0);
    pprof_free(stream);
    pprof_free(NULL);
}

static void a_stream_may_be_dropped_half_way(void **state)
{
    (void)state;
    struct snapshot_group groups[400] = {{0}};
    struct snapshot snapshot = fake_snapshot(groups, 400);
    char room[16];
    for (int reads = 0; reads < 4; reads++) {
        struct pprof_stream *stream = stream_of(&snapshot);
        for (int i = 0; i < reads; i++)
            assert_int_equal(pprof_read(stream, room, sizeof(room)), sizeof(room));
        pprof_free(stream);
    }
}

static void encoding_keeps_errno_and_calls_no_malloc(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "/src/a.c", 1, 1});
    stack_id stack = STACK(MAIN_START + 0x11);
    struct snapshot_group groups[200];
    for (size_t i = 0; i < 200; i++)
        groups[i] = (struct snapshot_group){.stack = stack, .count = i};
    struct snapshot snapshot = fake_snapshot(groups, 200);
    char room[4096];
    errno = 4711;
    uint64_t before = allocations;
    struct pprof_stream *stream = NULL;
    int opened = pprof_goroutine(&snapshot, NULL, &stream);
    while (pprof_read(stream, room, sizeof(room)) > 0)
        ;
    pprof_free(stream);
    uint64_t after = allocations;
    assert_int_equal(errno, 4711);
    assert_int_equal(opened, 0);
    assert_int_equal(after, before);
}

// What a scrape of a large process costs, names being known: printed, and held to a loose bound
// because the machine has other work.
static void ten_thousand_groups_of_25_frames_are_encoded_in_no_time(void **state)
{
    (void)state;
    enum { GROUPS = 10000, DEPTH = 25, LOOSE_MS = 3000 };
    static char names[FAKE_SYMBOLS][32];
    static struct symbol_frame frames[FAKE_SYMBOLS];
    for (unsigned i = 0; i < FAKE_SYMBOLS; i++) {
        snprintf(names[i], sizeof(names[i]), "some_function_of_ours_%u", i / 3);
        frames[i] = (struct symbol_frame){names[i], "/src/shop/backend/orders.c", i + 1, i / 3};
        fake_symbol(MAIN_START + 37 * (uintptr_t)i + 1, 1, &frames[i]);
    }
    struct snapshot_group *groups = calloc(GROUPS, sizeof(*groups));
    uint64_t random = 1;
    for (unsigned i = 0; i < GROUPS; i++) {
        uintptr_t stack[DEPTH];
        for (unsigned j = 0; j < DEPTH; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            stack[j] = MAIN_START + 37 * ((random >> 33) % FAKE_SYMBOLS) + 1;
        }
        groups[i] = (struct snapshot_group){
            .stack = fake_stack(STACK_WHOLE, DEPTH, stack),
            .reason = TASKPROF_CHAN_SEND,
            .count = GROUPS - i,
            .wait_sum_ns = random >> 24,
        };
    }
    struct snapshot snapshot = fake_snapshot(groups, GROUPS);
    static char room[32 * 1024];
    size_t zipped = 0;
    resolve_ns = 0;
    uint64_t started = clock_monotonic_ns();
    struct pprof_stream *stream = stream_of(&snapshot);
    for (ssize_t got; (got = pprof_read(stream, room, sizeof(room))) > 0;)
        zipped += (size_t)got;
    uint64_t spent = clock_monotonic_ns() - started - resolve_ns;
    pprof_free(stream);
    print_message("%d groups of %d frames: %zu bytes zipped, %.1f ms\n", GROUPS, DEPTH, zipped,
                  (double)spent / 1e6);
    assert_in_range(spent / 1000000, 0, LOOSE_MS);
    assert_in_range(zipped, 100000, 4000000);
    free(groups);
}

static void an_index_finds_all_values_of_a_hash_while_it_grows(void **state)
{
    (void)state;
    struct index index = {0};
    uint32_t value;
    size_t step = 0;
    assert_false(index_next(&index, 0, &step, &value));
    // 100 values share a hash each, and neighbours collide.
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(index_add(&index, i / 100, i), 0);
    for (uint64_t hash = 0; hash < 1000; hash++) {
        unsigned found = 0;
        for (step = 0; index_next(&index, hash, &step, &value); found++)
            assert_int_equal(value / 100, hash);
        assert_int_equal(found, 100);
    }
    step = 0;
    assert_false(index_next(&index, 5000000, &step, &value));
    index_release(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pieces_of_any_size_make_the_same_profile, fresh_world),
        cmocka_unit_test_setup(the_end_stays_the_end_and_no_room_is_an_error, fresh_world),
        cmocka_unit_test_setup(a_stream_may_be_dropped_half_way, fresh_world),
        cmocka_unit_test_setup(encoding_keeps_errno_and_calls_no_malloc, fresh_world),
        cmocka_unit_test_setup(ten_thousand_groups_of_25_frames_are_encoded_in_no_time,
                               fresh_world),
        cmocka_unit_test_setup(an_index_finds_all_values_of_a_hash_while_it_grows, fresh_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
