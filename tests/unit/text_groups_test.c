// debug=1: what `go tool pprof` reads of it, and what people do.

#include "tests/unit/text_helpers.h"

static const struct snapshot_group groups[] = {
    {.stack = 1,
     .creation = 2,
     .channel_class = 1,
     .channel = 0,
     .activity = TASK_PARKED,
     .reason = TASKPROF_CHAN_RECEIVE,
     .count = 412,
     .wait_sum_ns = 5 * MINUTE,
     .wait_max_ns = 3 * MINUTE + 12504 * 1000000ull,
     .oldest_task = 17,
     .stuck_since = 400,
     .ages = {12, 0, 300, 100}},
    {.stack = 3,
     .channel = SNAPSHOT_NO_CHANNEL,
     .activity = TASK_IN_SYSCALL,
     .syscall = 0,
     .count = 2},
    {.stack = 0, .channel = SNAPSHOT_NO_CHANNEL, .activity = TASK_RUNNING, .count = 1},
};

static const struct snapshot_channel channels[] = {
    {.reading = {.length = 10, .capacity = TASKPROF_UNKNOWN, .closed = true},
     .senders = 3,
     .receivers = 412},
};

static char *dump(const struct filter *filter, size_t piece)
{
    static const struct filter all;
    struct snapshot *snapshot = world_snapshot(groups, 3);
    struct text *dump = NULL;
    snapshot->since_ns = 958 * SECOND;
    snapshot->channels = arena_copy(&snapshot->arena, channels, sizeof(channels));
    snapshot->channel_count = 1;
    assert_int_equal(text_groups(snapshot, filter ? filter : &all, &dump), 0);
    char *text = world_read(dump, piece);
    assert_int_equal(world_snapshots, 0);
    return text;
}

static void a_dump_is_what_it_must_be_byte_by_byte(void **state)
{
    static const char expected[] = "goroutine profile: total 415\n" SUMMARY(
        415) "\n"
             "412 @ 0x400110 0x400220 0x7f0000000330\n"
             "# labels: {\"channel\":\"orders\", \"state\":\"chan receive\"}\n"
             "#\t0x400110\treceive+0x10\t/src/queue.h:7\n"
             "#\t0x400110\tworker+0x10\t/src/worker.c:12\n"
             "#\t0x400220\tru?n+0x20\t/src/run.c:34\n"
             "#\t0x7f0000000330\tstart_thread+0x30\t?"
             "?:0\n"
             "# waits: longest 3m12.504s (goroutine 17), total 5m0s; ages: <1s: 12 <1m: 300 <10m: "
             "100\n"
             "# 400 of them were already here 42s ago, at the last snapshot\n"
             "# channel: len 10, cap unknown, closed; 3 senders and 412 receivers wait\n"
             "# created by:\n"
             "#\t0x400440\ttaskprof_pthread_create+0x40\t/src/tp.c:1\n"
             "#\t0x400550\tmain+0x50\t/src/main.c:56\n"
             "\n"
             "2 @ 0x7f0000000660 0x12345\n"
             "# labels: {\"state\":\"syscall\", \"syscall\":\"read\"}\n"
             "#\t0x7f0000000660\tlibdark.so+0x660+0x0\t?"
             "?:0\n"
             "#\t0x12345\t?"
             "?+0x0\t?"
             "?:0\n"
             "\n"
             "1 @ 0x1\n"
             "# labels: {\"state\":\"running\"}\n"
             "#\tno stack\n"
             "\n";
    (void)state;
    char *text = dump(NULL, 4096);
    assert_string_equal(text, expected);
    free(text);
    // However it is cut into pieces.
    text = dump(NULL, 1);
    assert_string_equal(text, expected);
    free(text);
}

static void every_line_is_one_that_pprof_reads_or_skips(void **state)
{
    (void)state;
    char *text = dump(NULL, 4096);
    char *rest = text;
    char *line = strsep(&rest, "\n");
    assert_true(matches(line, "^[^ ]+ profile: total [0-9]+$"));
    while ((line = strsep(&rest, "\n")))
        assert_true(*line == '\0' || *line == '#' || matches(line, "^[0-9]+ @( 0x[0-9a-f]+)+$"));
    free(text);
}

static void filters_leave_out_groups_and_say_how_many_tasks(void **state)
{
    (void)state;
    char *text = dump(&(struct filter){.state = "SYSCALL"}, 4096);
    assert_non_null(strstr(text, "goroutine profile: total 2\n"));
    assert_non_null(strstr(text, "# 413 tasks not shown: the filters exclude them\n"));
    assert_null(strstr(text, "orders"));
    free(text);
    text = dump(&(struct filter){.channel = "orders"}, 4096);
    assert_non_null(strstr(text, "goroutine profile: total 412\n"));
    free(text);
    text = dump(&(struct filter){.has_min_wait = true, .min_wait_ns = 3 * MINUTE}, 4096);
    assert_non_null(strstr(text, "goroutine profile: total 412\n"));
    free(text);
    text = dump(&(struct filter){.has_min_wait = true, .min_wait_ns = 4 * MINUTE}, 4096);
    assert_non_null(strstr(text, "goroutine profile: total 0\n"));
    free(text);
}

static void a_limit_says_how_much_it_left_out(void **state)
{
    (void)state;
    char *text = dump(&(struct filter){.limit = 1}, 4096);
    assert_non_null(strstr(text, "goroutine profile: total 412\n"));
    assert_non_null(strstr(text, "# ... 2 more groups (3 tasks) left out by limit=1\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_what_it_must_be_byte_by_byte),
        cmocka_unit_test(every_line_is_one_that_pprof_reads_or_skips),
        cmocka_unit_test(filters_leave_out_groups_and_say_how_many_tasks),
        cmocka_unit_test(a_limit_says_how_much_it_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
