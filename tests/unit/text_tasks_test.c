// debug=2: Go's own form, task by task, whatever the number.

#include "tests/unit/text_helpers.h"

#include "profiler/base/clock.h"

static const struct snapshot_group groups[] = {
    {.stack = 1,
     .creation = 2,
     .channel_class = 1,
     .channel = 0,
     .activity = TASK_PARKED,
     .reason = TASKPROF_CHAN_RECEIVE,
     .count = 2,
     .wait_max_ns = 200 * SECOND},
    {.stack = 4,
     .creation = 3,
     .channel_class = 3,
     .channel = SNAPSHOT_NO_CHANNEL,
     .activity = TASK_PARKED,
     .reason = TASKPROF_CHAN_SEND,
     .count = 1,
     .wait_max_ns = SECOND},
    {.stack = 0, .channel = SNAPSHOT_NO_CHANNEL, .activity = TASK_RUNNING, .count = 1},
};

static const struct snapshot_channel channels[] = {{.reading = {.length = 0, .capacity = 10}}};

static const struct snapshot_task tasks[] = {
    {.id = 40, .group = 2, .slot = 0},
    {.id = 41, .group = 0, .slot = 1, .wait_start_ns = 800 * SECOND},
    {.id = 42, .group = 1, .slot = UINT32_MAX, .wait_start_ns = 999 * SECOND},
    {.id = 43, .group = 0, .slot = 2, .wait_start_ns = 990 * SECOND},
};

static char *dump(const struct filter *filter, size_t piece)
{
    static const struct filter all;
    struct snapshot *snapshot = world_snapshot(groups, 3);
    struct text *dump = NULL;
    snapshot->channels = arena_copy(&snapshot->arena, channels, sizeof(channels));
    snapshot->channel_count = 1;
    snapshot->task_list_bytes = sizeof(tasks);
    snapshot->task_list = memory_map(sizeof(tasks));
    memcpy(snapshot->task_list, tasks, sizeof(tasks));
    snapshot->task_count = 4;
    world_details[0] = (struct task_details){.name = "main", .tid = 100};
    world_details[1] = (struct task_details){.name = "exactly15bytes!", .parent = 1, .tid = 101};
    world_details[2] = (struct task_details){.name = "", .parent = 40};
    assert_int_equal(text_tasks(snapshot, filter ? filter : &all, &dump), 0);
    char *text = world_read(dump, piece);
    assert_int_equal(world_snapshots, 0);
    return text;
}

static void a_dump_is_what_it_must_be_byte_by_byte(void **state)
{
    static const char frames[] = "receive(...)\n\t/src/queue.h:7 +0x10\n"
                                 "worker(...)\n\t/src/worker.c:12 +0x10\n"
                                 "ru?n(...)\n\t/src/run.c:34 +0x20\n"
                                 "start_thread(...)\n\t?"
                                 "?:0 +0x30\n";
    char expected[4096];
    (void)state;
    snprintf(expected, sizeof(expected),
             "goroutine 41 [chan receive, 3 minutes labels:{\"cap\": \"10\", \"channel\": "
             "\"orders\", \"len\": \"0\", \"name\": \"exactly15bytes!\", \"tid\": \"101\", "
             "\"wait\": \"3m20s\"}]:\n%s"
             "created by main in goroutine 1\n\t/src/main.c:56 +0x50\n\n"
             "goroutine 43 [chan receive labels:{\"cap\": \"10\", \"channel\": \"orders\", "
             "\"len\": \"0\", \"wait\": \"10s\"}]:\n%s"
             "created by main in goroutine 40\n\t/src/main.c:56 +0x50\n\n"
             "goroutine 42 [chan send labels:{\"channel\": "
             "\"a\\\"b\\\\c\\u005d\\u000a\xef\xbf\xbd<\", \"ended\": \"since the snapshot\", "
             "\"truncated\": \"a frame outside the stack\", \"wait\": \"1s\"}]:\n"
             "ru?n(...)\n\t/src/run.c:34 +0x20\n...additional frames elided...\n"
             "created by libdark.so+0x660\n\t?"
             "?:0 +0x0\n\n"
             "goroutine 40 [running labels:{\"name\": \"main\", \"tid\": \"100\"}]:\n"
             "\tgoroutine running on other thread; stack unavailable\n\n"
             "%s",
             frames, frames, SUMMARY(4));
    char *text = dump(NULL, 4096);
    assert_string_equal(text, expected);
    free(text);
    text = dump(NULL, 1);
    assert_string_equal(text, expected);
    free(text);
}

static void filters_and_limits_say_what_they_leave_out(void **state)
{
    (void)state;
    char *text = dump(&(struct filter){.has_min_wait = true, .min_wait_ns = MINUTE}, 4096);
    assert_true(matches(text, "^goroutine 41 "));
    assert_null(strstr(text, "goroutine 43 ["));
    assert_non_null(strstr(text, "# 3 tasks not shown: the filters exclude them\n"));
    free(text);
    text = dump(&(struct filter){.state = "chan receive", .limit = 1}, 4096);
    assert_non_null(strstr(text, "goroutine 41 ["));
    assert_null(strstr(text, "goroutine 43 ["));
    assert_non_null(strstr(text, "# ... 1 more tasks left out by limit=1\n"));
    assert_non_null(strstr(text, "# 2 tasks not shown: the filters exclude them\n"));
    free(text);
    text = dump(&(struct filter){.channel = "no such"}, 4096);
    assert_true(matches(text, "^# 4 tasks"));
    assert_non_null(strstr(text, "# 4 tasks not shown"));
    free(text);
}

static void files_that_parsers_of_go_do_not_know_are_moved_on_request(void **state)
{
    (void)state;
    char *text = dump(&(struct filter){.go_files = true}, 4096);
    assert_non_null(strstr(text, "receive /src/queue.h:7(...)\n\t?"
                                 "?:0 +0x10\n"));
    assert_non_null(strstr(text, "worker(...)\n\t/src/worker.c:12 +0x10\n"));
    free(text);
}

enum { MANY = 1000000 };

static void a_million_tasks_are_all_there_in_little_memory(void **state)
{
    static char block[32 * 1024];
    const struct snapshot_group many = {.stack = 1,
                                        .creation = 2,
                                        .channel_class = 1,
                                        .channel = SNAPSHOT_NO_CHANNEL,
                                        .activity = TASK_PARKED,
                                        .reason = TASKPROF_CHAN_RECEIVE,
                                        .count = MANY};
    struct snapshot *snapshot = world_snapshot(&many, 1);
    struct text *dump = NULL;
    (void)state;
    snapshot->task_list_bytes = MANY * sizeof(struct snapshot_task);
    snapshot->task_list = memory_map(snapshot->task_list_bytes);
    snapshot->task_count = MANY;
    for (size_t i = 0; i < MANY; i++)
        snapshot->task_list[i] = (struct snapshot_task){
            .id = i + 1, .slot = (uint32_t)(i % WORLD_TASKS), .wait_start_ns = SECOND};
    uint64_t before = clock_monotonic_ns();
    assert_int_equal(text_tasks(snapshot, &(struct filter){0}, &dump), 0);
    world_resolved = 0;
    size_t seen = 0;
    size_t bytes = 0;
    ssize_t got;
    while ((got = text_read(dump, block, sizeof(block))) > 0) {
        bytes += (size_t)got;
        for (char *at = block; (at = memchr(at, '[', (size_t)(block + got - at))); at++)
            seen++;
    }
    text_free(dump);
    print_message("%zu bytes in %llu ms\n", bytes,
                  (unsigned long long)(clock_monotonic_ns() - before) / 1000000);
    assert_int_equal(seen, MANY);
    // The stack and the creation stack were looked up once, not a million times.
    assert_true(world_resolved < 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_what_it_must_be_byte_by_byte),
        cmocka_unit_test(filters_and_limits_say_what_they_leave_out),
        cmocka_unit_test(files_that_parsers_of_go_do_not_know_are_moved_on_request),
        cmocka_unit_test(a_million_tasks_are_all_there_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
