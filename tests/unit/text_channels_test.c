// The channel table and the list of threads' creators.

#include "answers/filter_query.h"
#include "tests/unit/text_helpers.h"

const char *misuse_text(enum misuse_kind kind)
{
    static const char *const texts[MISUSE_KINDS] = {"send", "close", "nil", "freed"};
    return texts[kind];
}

static const struct misuses no_misuse;
static const struct misuses one_misuse = {
    .counts = {[MISUSE_CLOSE_OF_CLOSED] = 1},
    .kept = 1,
    .latest = {{.kind = MISUSE_CLOSE_OF_CLOSED,
                .channel = 3,
                .task = 9,
                .at_ns = 1769903999123456789,
                .stack = 1,
                .earlier = 2,
                .name = "orders"}},
};
static const struct misuses *misuses = &no_misuse;

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

static char *dump_of(const struct snapshot_channel *list, size_t count, struct filter filter)
{
    struct snapshot *snapshot = world_snapshot(NULL, 0);
    struct text *dump = NULL;
    snapshot->channels = arena_copy(&snapshot->arena, list, count * sizeof(*list));
    snapshot->channel_count = count;
    snapshot->misuses = *misuses;
    assert_int_equal(text_channels(snapshot, &filter, "", &dump), 0);
    char *text = world_read(dump, 100);
    assert_int_equal(world_snapshots, 0);
    return text;
}

static char *dump(void)
{
    return dump_of(channels, 2, (struct filter){.limit = FILTER_CHANNEL_ROWS});
}

static void every_channel_has_a_line_in_aligned_columns(void **state)
{
    (void)state;
    misuses = &no_misuse;
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

// 100 channels of one name, the later the more waiters; 4 made at one place; 2 without a class.
enum { ALIKE = 100, PLACE = 4, CLASSLESS = 2, CROWD = ALIKE + PLACE + CLASSLESS };

static const struct snapshot_channel *crowd(void)
{
    static struct snapshot_channel list[CROWD];
    for (uint64_t i = 0; i < CROWD; i++) {
        list[i] = (struct snapshot_channel){.id = i + 1, .reading = {.capacity = 1}};
        if (i < ALIKE) {
            list[i].channel_class = 1;
            snprintf(list[i].name, sizeof(list[i].name), "orders");
            list[i].senders = i / 10;
            list[i].receivers = 1;
            list[i].wait_max_ns = i * SECOND;
        } else if (i < ALIKE + PLACE) {
            list[i].channel_class = 2;
            list[i].senders = 20;
        }
    }
    return list;
}

// The sum of a column, from its heading's right edge, over all lines of the table.
static unsigned long long column(const char *text, const char *heading)
{
    const char *line = strstr(text, "CHANNEL ");
    size_t right = (size_t)(strstr(line, heading) - line) + strlen(heading);
    unsigned long long sum = 0;
    for (line = strchr(line, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1) {
        const char *from = line + right;
        while (from[-1] != ' ')
            from--;
        sum += strtoull(from, NULL, 10);
    }
    return sum;
}

static unsigned lines_of(const char *text, const char *name)
{
    char begin[64];
    unsigned lines = 0;
    snprintf(begin, sizeof(begin), "\n%s ", name);
    for (const char *at = text; (at = strstr(at, begin)); at++)
        lines++;
    return lines;
}

static void channels_of_one_name_or_place_are_folded_and_none_is_lost(void **state)
{
    (void)state;
    misuses = &no_misuse;
    char *text = dump_of(crowd(), CROWD, (struct filter){.limit = FILTER_CHANNEL_ROWS});
    assert_non_null(strstr(text, "channel profile: total 106\n"));
    assert_int_equal(lines_of(text, "orders"), 6);
    assert_int_equal(lines_of(text, "main.c:56"), 4);
    assert_int_equal(lines_of(text, "unnamed"), 2);
    // Those with most waiters first; of as many, those that wait longest.
    assert_true(matches(text, "\norders +100 .*\norders +99 .*\norders +98 .*\norders +97 .*\n"
                              "orders +96 [^\n]*\norders +\\+95 +more like it +405 +95 +1m34s "));
    // 45 tens, and 20 of each at the other place.
    assert_int_equal(column(text, "SENDERS"), 450 + 80);
    assert_int_equal(column(text, "RECEIVERS"), 100);
    assert_non_null(strstr(text, "# 95 channels have no row but are in lines of sums: limit=5 "));
    assert_null(strstr(text, "channel="));
    free(text);
}

static void a_limit_sets_the_rows_of_a_name_and_none_leaves_the_sums(void **state)
{
    (void)state;
    misuses = &no_misuse;
    char *text = dump_of(crowd(), CROWD, (struct filter){.limit = 1000});
    assert_int_equal(lines_of(text, "orders"), 100);
    assert_null(strstr(text, "more like it"));
    assert_null(strstr(text, "have no row"));
    assert_int_equal(column(text, "SENDERS"), 450 + 80);
    free(text);
    text = dump_of(crowd(), CROWD, (struct filter){.limit = 0});
    assert_int_equal(lines_of(text, "orders"), 1);
    assert_int_equal(lines_of(text, "main.c:56"), 1);
    assert_true(matches(text, "\norders +100 +in all +450 +100 +1m39s "));
    assert_int_equal(column(text, "SENDERS"), 450 + 80);
    assert_non_null(strstr(text, "# 104 channels have no row but are in lines of sums: limit=0 "));
    free(text);
}

static void a_name_chooses_channels_and_the_others_are_counted(void **state)
{
    (void)state;
    misuses = &one_misuse;
    char *text = dump_of(crowd(), CROWD, (struct filter){.channel = "main.c:56", .limit = 3});
    assert_non_null(strstr(text, "channel profile: total 4\n"));
    assert_int_equal(lines_of(text, "main.c:56"), 4);
    assert_int_equal(lines_of(text, "orders"), 0);
    assert_int_equal(lines_of(text, "unnamed"), 0);
    assert_non_null(strstr(text, "\n# 1 channels have no row but are in lines of sums: limit=3 "));
    assert_non_null(strstr(text, "\n# 102 channels not shown: channel= excludes them\n"));
    // Misuses are all there, whatever is asked for.
    assert_non_null(strstr(text, "close 1"));
    free(text);
    text = dump_of(crowd(), CROWD, (struct filter){.channel = "no such", .limit = 3});
    assert_non_null(strstr(text, "\n# 106 channels not shown: channel= excludes them\n"));
    free(text);
}

static void misuse_is_shown_with_both_stacks(void **state)
{
    (void)state;
    misuses = &one_misuse;
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
    struct text *dump = NULL;
    (void)state;
    assert_int_equal(text_threads(snapshot, &dump), 0);
    char *text = world_read(dump, 100);
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
        cmocka_unit_test(channels_of_one_name_or_place_are_folded_and_none_is_lost),
        cmocka_unit_test(a_limit_sets_the_rows_of_a_name_and_none_leaves_the_sums),
        cmocka_unit_test(a_name_chooses_channels_and_the_others_are_counted),
        cmocka_unit_test(misuse_is_shown_with_both_stacks),
        cmocka_unit_test(threads_are_counted_by_their_creators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
