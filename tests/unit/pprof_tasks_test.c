// One sample a task, streamed: memory follows the number of stacks, not that of tasks.

#include "tests/unit/pprof_fixture.h"

#include <errno.h>

enum { MANY = 1000000, PEAK_KIB = 4 * 1024 };

static void a_task_carries_id_creator_and_wait_as_numbers_with_units(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "/src/a.c", 1, 1});
    name_class(1, "orders");
    struct snapshot_group groups[] = {
        {.stack = STACK(MAIN_START + 0x11),
         .reason = TASKPROF_CHAN_SEND,
         .channel_class = 1,
         .count = 2},
        {.activity = TASK_RUNNING, .count = 1},
    };
    struct snapshot_task tasks[] = {
        {.id = 17, .wait_start_ns = 2000000000, .group = 0},
        {.id = 18, .wait_start_ns = 5000000000, .group = 0, .slot = UINT32_MAX},
        {.id = 19, .group = 1},
    };
    struct snapshot snapshot = fake_snapshot(groups, 2);
    snapshot.task_list = tasks;
    snapshot.task_count = 3;
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_tasks(&snapshot, &stream), 0);
    Profile *profile = decoded(stream);
    assert_int_equal(profile->n_sample, 3);

    const Sample *parked = profile->sample[0];
    assert_int_equal(parked->value[0], 1);
    assert_int_equal(parked->value[1], 3000000000);
    assert_label(profile, parked, "state", "chan send");
    assert_label(profile, parked, "channel", "orders");
    assert_int_equal(label(profile, parked, "id")->num, 17);
    assert_string_equal(text(profile, label(profile, parked, "id")->num_unit), "id");
    assert_int_equal(label(profile, parked, "creator")->num, 1);
    assert_string_equal(text(profile, label(profile, parked, "creator")->num_unit), "id");
    assert_int_equal(label(profile, parked, "wait")->num, 3000000000);
    assert_string_equal(text(profile, label(profile, parked, "wait")->num_unit), "nanoseconds");
    assert_int_equal(label(profile, parked, "wait")->str, 0);

    const Sample *gone = profile->sample[1];
    assert_null(label(profile, gone, "creator"));
    assert_int_equal(label(profile, gone, "wait")->num, 0);
    assert_string_equal(text(profile, label(profile, gone, "wait")->num_unit), "nanoseconds");

    const Sample *running = profile->sample[2];
    assert_null(label(profile, running, "wait"));
    assert_int_equal(running->value[1], 0);
    assert_label(profile, running, "state", "running");
    free_profile(profile);
}

static void a_snapshot_without_its_tasks_is_refused(void **state)
{
    (void)state;
    struct snapshot_group group = {.count = 1};
    struct snapshot snapshot = fake_snapshot(&group, 1);
    struct pprof_stream *untouched = (struct pprof_stream *)&group;
    assert_int_equal(pprof_tasks(&snapshot, &untouched), -EINVAL);
    assert_ptr_equal(untouched, &group);
}

// What this process has mapped, in KiB; the encoder maps all its memory by itself.
static size_t mapped_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char text[32] = "";
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    return strtoul(text, NULL, 10) * 4;
}

static void a_million_tasks_take_a_few_mebibytes(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "/src/a.c", 1, 1});
    struct snapshot_group groups[] = {
        {.stack = STACK(MAIN_START + 0x11, MAIN_START + 0x22, MAIN_START + 0x33, MAIN_START + 0x44),
         .count = MANY},
    };
    struct snapshot_task *tasks = calloc(MANY, sizeof(*tasks));
    for (size_t i = 0; i < MANY; i++)
        tasks[i] = (struct snapshot_task){.id = i + 1, .wait_start_ns = 4000000000 + i * 977};
    struct snapshot snapshot = fake_snapshot(groups, 1);
    snapshot.task_list = tasks;
    snapshot.task_count = MANY;

    static unsigned char chunk[32 * 1024];
    static unsigned char plain[256 * 1024];
    z_stream zlib = {0};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    size_t zipped = 0;
    size_t before = mapped_kib();
    size_t peak = before;
    uint64_t spent = 0;
    uint64_t started = clock_monotonic_ns();
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_tasks(&snapshot, &stream), 0);
    int result = Z_OK;
    for (ssize_t got; (got = pprof_read(stream, chunk, sizeof(chunk))) != 0;) {
        spent += clock_monotonic_ns() - started;
        assert_true(got > 0);
        zipped += (size_t)got;
        size_t now = mapped_kib();
        peak = now > peak ? now : peak;
        zlib.next_in = chunk;
        zlib.avail_in = (unsigned)got;
        do {
            zlib.next_out = plain;
            zlib.avail_out = sizeof(plain);
            result = inflate(&zlib, Z_NO_FLUSH);
        } while (result == Z_OK && zlib.avail_out == 0);
        started = clock_monotonic_ns();
    }
    assert_int_equal(result, Z_STREAM_END);
    assert_true(zlib.total_out > (size_t)MANY * 10);
    print_message("%d tasks: %zu bytes, %zu zipped, %llu ms, %zu KiB at most\n", MANY,
                  (size_t)zlib.total_out, zipped, (unsigned long long)spent / 1000000,
                  peak - before);
    inflateEnd(&zlib);
    pprof_free(stream);
    assert_in_range(peak - before, 1, PEAK_KIB);
    free(tasks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_task_carries_id_creator_and_wait_as_numbers_with_units,
                               fresh_world),
        cmocka_unit_test_setup(a_snapshot_without_its_tasks_is_refused, fresh_world),
        cmocka_unit_test_setup(a_million_tasks_take_a_few_mebibytes, fresh_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
