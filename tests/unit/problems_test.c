// What is told of a file that describes queues: as many problems of each kind as there is room for,
// and of how many more there were.

#include "profiler/described/problems.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { ROOM = 64 };

static const char *written(const char *prefix)
{
    static char text[256 << 10];
    struct buffer out = {0};
    problems_write(&out, prefix);
    assert_false(out.failed);
    assert_true(out.length < sizeof(text));
    if (out.length)
        memcpy(text, out.data, out.length);
    text[out.length] = '\0';
    buffer_release(&out);
    return text;
}

static unsigned lines_of(const char *text)
{
    unsigned lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void add(enum problem_kind kind, const char *what, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char text[PROBLEM_MAX];
        snprintf(text, sizeof(text), "%s %u", what, i);
        problems_add(kind, i, text);
    }
}

static int begin(void **state)
{
    (void)state;
    return problems_begin("queues");
}

static void as_many_as_there_is_room_for_are_told_alone(void **state)
{
    (void)state;
    assert_string_equal(written("# "), "");
    add(PROBLEM_LINE, "bad", ROOM);
    const char *text = written("# ");
    assert_int_equal(lines_of(text), ROOM);
    assert_memory_equal(text, "# queues:1: bad 1\n", 18);
    assert_non_null(strstr(text, "\n# queues:64: bad 64\n"));
    assert_null(strstr(text, "more like these"));
}

static void what_has_no_room_is_counted_in_the_last_line_of_its_kind(void **state)
{
    (void)state;
    add(PROBLEM_LINE, "bad", ROOM + 3);
    add(PROBLEM_MISFIT, "misfit", ROOM + 200);
    const char *text = written("# ");
    const char *lines = strstr(text, "# queues: and 3 more like these\n");
    const char *misfits = strstr(text, "# queues: and 200 more like these\n");
    assert_int_equal(lines_of(text), 2 * (ROOM + 1));
    assert_non_null(lines);
    assert_non_null(misfits);
    assert_true(strstr(text, "bad 64\n") < lines);
    assert_true(lines < strstr(text, "misfit 1\n"));
    assert_true(strstr(text, "misfit 64\n") < misfits);
    assert_string_equal(misfits, "# queues: and 200 more like these\n"); // ends the text
    assert_null(strstr(text, "bad 65"));
    assert_null(strstr(text, "misfit 65"));
}

static void a_kind_that_is_forgotten_has_its_room_again_and_the_other_keeps_its_count(void **state)
{
    (void)state;
    add(PROBLEM_LINE, "bad", ROOM + 1);
    add(PROBLEM_MISFIT, "misfit", ROOM + 7);
    problems_forget(PROBLEM_MISFIT);
    add(PROBLEM_MISFIT, "new misfit", 2);
    const char *text = written("");
    assert_int_equal(lines_of(text), ROOM + 1 + 2);
    assert_non_null(strstr(text, "\nqueues: and 1 more like these\n"));
    assert_null(strstr(text, "and 7 more"));
    assert_non_null(strstr(text, "\nqueues:2: new misfit 2\n"));
}

static void another_file_begins_with_none(void **state)
{
    (void)state;
    add(PROBLEM_LINE, "bad", ROOM + 1);
    assert_int_equal(problems_begin("others"), 0);
    assert_string_equal(written(""), "");
    add(PROBLEM_LINE, "bad", 1);
    assert_string_equal(written(""), "others:1: bad 1\n");
    problems_end();
    assert_string_equal(written(""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(as_many_as_there_is_room_for_are_told_alone, begin),
        cmocka_unit_test_setup(what_has_no_room_is_counted_in_the_last_line_of_its_kind, begin),
        cmocka_unit_test_setup(
            a_kind_that_is_forgotten_has_its_room_again_and_the_other_keeps_its_count, begin),
        cmocka_unit_test_setup(another_file_begins_with_none, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
