// What is left out of a bounded table is counted, and the table told of, once and for a day.

#include "profiler/base/budget.h"
#include "profiler/base/clock.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MANY = 8, THREADS = 6, TIMES = 20000, REPORTS = 64 };

static struct budget first = BUDGET_INIT("firsts", "they are not first", 10);
static struct budget second = BUDGET_INIT("seconds", "they are not second", 20);
static struct budget untouched = BUDGET_INIT("others", "nothing", 30);
static struct budget many[MANY];

// The report of one, which is there at most once; NULL: none.
static const struct budget_report *report_of(const struct budget *budget)
{
    static struct budget_report reports[REPORTS];
    const struct budget_report *found = NULL;
    size_t count = budget_reports(reports, REPORTS);
    assert_true(count <= REPORTS);
    for (size_t i = 0; i < count; i++) {
        if (reports[i].budget != budget)
            continue;
        assert_null(found);
        found = &reports[i];
    }
    return found;
}

static void nothing_is_told_before_something_is_left_out(void **state)
{
    (void)state;
    struct budget_report report;
    assert_int_equal(budget_reports(&report, 1), 0);
    assert_int_equal(budget_reports(NULL, 0), 0);
}

static void a_table_is_told_of_once_with_how_often_and_when(void **state)
{
    (void)state;
    uint64_t before = clock_coarse_ns();
    for (int i = 1; i <= 3; i++) {
        budget_leave_out(&first);
        assert_int_equal(report_of(&first)->left_out, i);
    }
    const struct budget_report *report = report_of(&first);
    assert_true(report->last_left_out >= before);
    assert_true(report->last_left_out <= clock_coarse_ns());
    assert_string_equal(report->budget->what, "firsts");
    assert_string_equal(report->budget->loss, "they are not first");
    assert_null(report_of(&untouched));
}

static void no_more_are_told_than_there_is_room_for_the_latest_first(void **state)
{
    (void)state;
    struct budget_report reports[3] = {{0}};
    budget_leave_out(&first);
    budget_leave_out(&second);
    assert_int_equal(budget_reports(reports, 0), 0);
    assert_null(reports[0].budget);
    assert_int_equal(budget_reports(reports, 1), 1);
    assert_ptr_equal(reports[0].budget, &second);
    assert_null(reports[1].budget);
    assert_int_equal(budget_reports(reports, 3), 2);
    assert_ptr_equal(reports[1].budget, &first);
    // Their order is that of their first loss.
    budget_leave_out(&first);
    assert_int_equal(budget_reports(reports, 1), 1);
    assert_ptr_equal(reports[0].budget, &second);
}

static void after_a_day_it_is_not_told_until_something_is_left_out_again(void **state)
{
    (void)state;
    static const uint64_t HOUR_NS = 3600 * 1000000000ull;
    uint64_t now = clock_coarse_ns();
    budget_leave_out(&first);
    budget_leave_out(&second);
    uint64_t ever = report_of(&first)->left_out;
    // These may be before the machine's start, when the clock was 0: the differences are right.
    atomic_store(&first.last_left_out, now - 23 * HOUR_NS);
    assert_int_equal(report_of(&first)->last_left_out, now - 23 * HOUR_NS);
    atomic_store(&first.last_left_out, now - 25 * HOUR_NS);
    assert_null(report_of(&first));
    assert_non_null(report_of(&second));
    budget_leave_out(&first);
    assert_int_equal(report_of(&first)->left_out, ever + 1);
}

static pthread_barrier_t barrier;
static _Atomic bool over;

static void *leave_out(void *unused)
{
    // All at once: who is first for one of them is not known.
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < TIMES; i++)
        budget_leave_out(&many[i % MANY]);
    return unused;
}

static void *read_reports(void *unused)
{
    uintptr_t wrong = 0;
    struct budget_report reports[REPORTS];
    uint64_t seen[MANY] = {0};
    (void)unused;
    pthread_barrier_wait(&barrier);
    while (!atomic_load(&over)) {
        size_t count = budget_reports(reports, REPORTS);
        for (size_t i = 0; i < count; i++) {
            size_t at = (size_t)(reports[i].budget - many);
            if (at >= MANY)
                continue;
            wrong += reports[i].left_out < seen[at];
            seen[at] = reports[i].left_out;
            for (size_t j = 0; j < i; j++)
                wrong += reports[j].budget == reports[i].budget;
        }
    }
    return (void *)wrong;
}

static void
threads_that_leave_out_at_once_are_all_counted_and_each_table_is_listed_once(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    pthread_t reader;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_reports, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, leave_out, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&over, true);
    void *wrong;
    pthread_join(reader, &wrong);
    assert_null(wrong);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(report_of(&many[i])->left_out, THREADS * TIMES / MANY);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_told_before_something_is_left_out),
        cmocka_unit_test(a_table_is_told_of_once_with_how_often_and_when),
        cmocka_unit_test(no_more_are_told_than_there_is_room_for_the_latest_first),
        cmocka_unit_test(after_a_day_it_is_not_told_until_something_is_left_out_again),
        cmocka_unit_test(
            threads_that_leave_out_at_once_are_all_counted_and_each_table_is_listed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
