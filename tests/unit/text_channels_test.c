// The channel table and the list of threads' creators.

#include "tests/unit/text_helpers.h"

static unsigned misuses;

uint64_t misuse_count(enum misuse_kind kind)
{
    return kind == MISUSE_CLOSE_OF_CLOSED ? misuses : 0;
}

const char *misuse_text(enum misuse_kind kind)
{
    static const char *const texts[MISUSE_KINDS] = {"send", "close", "nil", "freed"};
    return texts[kind];
}

unsigned misuse_latest(struct misuse into[MISUSES_KEPT])
{
    for (unsigned i = 0; i < misuses; i++)
        into[i] = (struct misuse){.kind = MISUSE_CLOSE_OF_CLOSED,
                                  .channel = 3,
                                  .task = 9,
                                  .at_ns = 1769903999123456789,
                                  .stack = 1,
                                  .earlier = 2,
                                  .name = "orders"};
    return misuses;
}

static const struct snapshot_channel channels[] = {
    {.id = 1,
     .name = "orders",
     .channel_class = 1,
     .creation = 2,
     .reading = {.length = 10,
                 .capacity = 10,
                 .last_operation = CHANNEL_SENT,
                 .last_task = 17,
                 .last_ns = 820 * SECOND},
     .senders = 412,
     .wait_max_ns = 192 * SECOND},
    {.id = 2,
     .channel_class = 2,
     .creation = 2,
     .reading = {.length = TASKPROF_UNKNOWN, .capacity = TASKPROF_UNKNOWN, .closed = true}},
};

static char *dump(void)
{
    struct snapshot *snapshot = world_snapshot(NULL, 0);
    struct http_body body = {0};
    snapshot->channels = arena_copy(&snapshot->arena, channels, sizeof(channels));
    snapshot->channel_count = 2;
    assert_int_equal(text_channels(snapshot, &body), 0);
    char *text = world_read(&body, 100);
    assert_int_equal(world_snapshots, 0);
    return text;
}

static void every_channel_has_a_line_in_aligned_columns(void **state)
{
    (void)state;
    misuses = 0;
    char *text = dump();
    assert_non_null(strstr(text, "channel profile: total 2\n"));
    char *head = strstr(text, "CHANNEL ");
    char *orders = strstr(text, "\norders ");
    char *unnamed = strstr(text, "\nmain.c:56 ");
    assert_true(head && orders && unnamed);
    orders++;
    unnamed++;
    assert_true(matches(orders, "^orders +1 +10/10 +no +412 +0 +3m12s +sent by 17 3m0s ago +main "
                                "/src/main\\.c:56\n"));
    assert_true(matches(unnamed, "^main\\.c:56 +2 +\\?/\\? +yes +0 +0 +- +none +main "));
    size_t made_by = (size_t)(strstr(head, "MADE BY") - head);
    assert_memory_equal(orders + made_by, "main ", 5);
    assert_memory_equal(unnamed + made_by, "main ", 5);
    free(text);
}

static void misuse_is_shown_with_both_stacks(void **state)
{
    (void)state;
    misuses = 1;
    char *text = dump();
    assert_non_null(strstr(text, "# misuse: send 0, close 1, nil 0, freed 0\n"));
    assert_non_null(strstr(text,
                           "2026-01-31T23:59:59.123Z close, channel 3 \"orders\", by goroutine "
                           "9:\n#\t0x400110\treceive+0x10\t/src/queue.h:7\n"));
    assert_non_null(strstr(text, "before by:\n#\t0x400440\ttaskprof_pthread_create"));
    free(text);
}

static void threads_are_counted_by_their_creators(void **state)
{
    static const struct snapshot_group groups[] = {
        {.stack = 1, .creation = 3, .count = 5, .threads = 2},
        {.stack = 1, .creation = 2, .count = 4, .threads = 4},
        {.stack = 3, .creation = 3, .count = 3, .threads = 3},
        {.stack = 3, .creation = 0, .count = 1, .threads = 1},
        {.stack = 3, .creation = 1, .count = 9, .threads = 0},
    };
    struct snapshot *snapshot = world_snapshot(groups, 5);
    struct http_body body = {0};
    (void)state;
    assert_int_equal(text_threads(snapshot, &body), 0);
    char *text = world_read(&body, 100);
    assert_true(matches(text, "^threadcreate profile: total 10\n"));
    char *first = strstr(text, "\n5 @ 0x7f0000000660 0x12345\n");
    char *second = strstr(text, "\n4 @ 0x400440 0x400550\n");
    char *third = strstr(text, "\n1 @ 0x1\n");
    assert_true(first && second && third && first < second && second < third);
    assert_null(strstr(text, "\n9 @"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_channel_has_a_line_in_aligned_columns),
        cmocka_unit_test(misuse_is_shown_with_both_stacks),
        cmocka_unit_test(threads_are_counted_by_their_creators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
