// A line of the file that describes queues: what is read from it, and what is said of a wrong one.

#include "profiler/described/description.h"
#include "profiler/described/near.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static struct description description;
static char problem[PROBLEM_MAX];

static enum description_result parse(const char *line)
{
    problem[0] = '\0';
    return description_parse(line, strlen(line), 7, &description, problem);
}

static const char *path_text(enum path_role role)
{
    static char text[256];
    const struct path *path = &description.paths[role];
    description_path_text(path, path->count ? path->count - 1 : 0, text, sizeof(text));
    return path->count ? text : NULL;
}

static void blank_lines_and_comments_describe_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "   \t ", "# chan_t recv=r", "  # x", "\r"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        assert_int_equal(parse(lines[i]), DESCRIPTION_NONE);
}

static void a_whole_line_is_read(void **state)
{
    (void)state;
    assert_int_equal(parse("chan_t\tlen=queue->size  cap=ring.slots[3].cap closed=closed "
                           "name=label recv=r_cond,waiters[0] send=w_cond # a comment\r"),
                     DESCRIPTION_READ);
    assert_int_equal(description.line, 7);
    assert_string_equal(description.type, "chan_t");
    assert_false(description.tag_only);
    assert_string_equal(path_text(ROLE_LENGTH), "queue->size");
    assert_string_equal(path_text(ROLE_CAPACITY), "ring.slots[3].cap");
    assert_string_equal(path_text(ROLE_CLOSED), "closed");
    assert_string_equal(path_text(ROLE_NAME), "label");
    assert_string_equal(path_text(ROLE_RECEIVE), "r_cond");
    assert_string_equal(path_text(ROLE_RECEIVE + 1), "waiters[0]");
    assert_null(path_text(ROLE_RECEIVE + 2));
    assert_string_equal(path_text(ROLE_SEND), "w_cond");
    assert_int_equal(description.capacity, TASKPROF_UNKNOWN);
}

static void types_may_be_tags_and_qualified(void **state)
{
    (void)state;
    assert_int_equal(parse("struct chan recv=c"), DESCRIPTION_READ);
    assert_true(description.tag_only);
    assert_string_equal(description.type, "chan");
    assert_int_equal(parse("io::detail::queue recv=c"), DESCRIPTION_READ);
    assert_false(description.tag_only);
    assert_string_equal(description.type, "io::detail::queue");
}

static void a_capacity_may_be_a_number(void **state)
{
    (void)state;
    assert_int_equal(parse("q recv=c cap=16"), DESCRIPTION_READ);
    assert_int_equal(description.capacity, 16);
    assert_null(path_text(ROLE_CAPACITY));
    assert_int_equal(parse("q recv=c cap=9223372036854775807"), DESCRIPTION_READ);
    assert_int_equal(description.capacity, INT64_MAX);
    assert_int_equal(parse("q recv=c cap=9223372036854775808"), DESCRIPTION_BAD);
    assert_int_equal(parse("q recv=c cap=16x"), DESCRIPTION_BAD);
}

static void wrong_lines_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"q", "neither recv= nor send="},
        {"q len=a", "neither recv= nor send="},
        {"struct", "not a type's name"},
        {"q-t recv=c", "\"q-t\" is not a type's name"},
        {"9q recv=c", "not a type's name"},
        {"recv=c", "not a type's name"},
        {"q recv", "\"recv\" is not KEY=PATH"},
        {"q recv = c", "\"recv\" is not KEY=PATH"},
        {"q lenght=a recv=c", "no key lenght= (did you mean len"},
        {"q recv=", "recv= is no path"},
        {"q recv=a,", "is no path"},
        {"q recv=,a", "is no path"},
        {"q recv=a,b,c,d,e", "more than 4"},
        {"q recv=a recv=b", "given twice: separate several objects by commas"},
        {"q len=a len=b recv=c", "len= is given twice"},
        {"q cap=1 cap=b recv=c", "cap= is given twice"},
        {"q len=a,b recv=c", "is no path"},
        {"q len=a.b.c.d.e.f.g.h.i recv=c", "at most 8 steps"},
        {"q len=a[ recv=c", "is no path"},
        {"q len=a[4294967296] recv=c", "is no path"},
        {"q len=a->->b recv=c", "is no path"},
        {"q len=->b recv=c", "is no path"},
        {"q len=3 recv=c", "is no path"},
        {"q cap=-1 recv=c", "or a number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(parse(cases[i].line), DESCRIPTION_BAD);
        if (!strstr(problem, cases[i].says))
            fail_msg("\"%s\": says \"%s\", not \"%s\"", cases[i].line, problem, cases[i].says);
    }
}

// Whatever a file holds, a message is printable, and all memory read is the line's.
static void hostile_lines_are_refused_in_printable_text(void **state)
{
    (void)state;
    char line[4096];
    unsigned seed = 1;
    static const char alphabet[] = "ab=.->[]019,: \t#\x01\xff\n\"<&recvlnz";
    unsigned bad = 0;
    for (int round = 0; round < 20000; round++) {
        size_t length = (seed = seed * 1103515245 + 12345) >> 16 & (round % 50 ? 63 : 4095);
        char *text = test_malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            text[i] = alphabet[((seed = seed * 1103515245 + 12345) >> 16) % (sizeof(alphabet) - 1)];
        memcpy(line, text, length);
        if (description_parse(text, length, 1, &description, problem) == DESCRIPTION_BAD) {
            bad++;
            assert_true(strlen(problem) < PROBLEM_MAX);
            for (const char *at = problem; *at; at++)
                assert_in_range(*at, 0x20, 0x7e);
        }
        test_free(text);
    }
    assert_true(bad > 1000);
}

static void distances_are_edits(void **state)
{
    (void)state;
    static const struct {
        const char *one;
        const char *other;
        unsigned distance;
    } cases[] = {
        {"", "", 0},         {"a", "", 1},        {"size", "size", 0}, {"size", "sise", 1},
        {"size", "SIZE", 0}, {"queue", "que", 2}, {"recv", "rcev", 1}, {"abc", "xyz", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(near_distance(cases[i].one, cases[i].other), cases[i].distance);
        assert_int_equal(near_distance(cases[i].other, cases[i].one), cases[i].distance);
    }
}

static void the_nearest_names_are_kept_once_each(void **state)
{
    (void)state;
    struct near near = {0};
    char text[NEAR_TEXT_MAX];
    assert_string_equal(near_text(&near, text), "");
    near_offer(&near, "capacity", "length");
    assert_int_equal(near.count, 0);
    near_offer(&near, "capacity", "capacti");
    near_offer(&near, "capacity", "capacty");
    near_offer(&near, "capacity", "capacty");
    assert_string_equal(near_text(&near, text), " (did you mean capacty or capacti?)");
    near_offer(&near, "capacity", "capacitys");
    near_offer(&near, "capacity", "kapacity");
    assert_int_equal(near.count, 3);
    assert_string_equal(near.names[0].name, "capacty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank_lines_and_comments_describe_nothing),
        cmocka_unit_test(a_whole_line_is_read),
        cmocka_unit_test(types_may_be_tags_and_qualified),
        cmocka_unit_test(a_capacity_may_be_a_number),
        cmocka_unit_test(wrong_lines_say_what_is_wrong),
        cmocka_unit_test(hostile_lines_are_refused_in_printable_text),
        cmocka_unit_test(distances_are_edits),
        cmocka_unit_test(the_nearest_names_are_kept_once_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
