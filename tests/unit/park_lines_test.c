// Tasks that park at the same time do not meet: a park writes two cache lines of its own task's
// slot and nothing else, no other task's lines and no counter of all parks.

#include "profiler/base/memory.h"
#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <taskprof/taskprof.h>

enum { LINE = 64, PARKS = 100 };

_Static_assert(sizeof(struct taskprof_task) % LINE == 0, "a slot has its lines to itself");

// The program's own variables, and with them the library's, which is linked in.
extern char __data_start[];
extern char _end[];

static volatile unsigned counter;

struct copy {
    const uint64_t *of;
    uint64_t *words;
    size_t count;
};

// By hand: sanitizers would object to what they have put between variables.
static __attribute__((noinline, no_sanitize("address", "thread"))) void
take(struct copy *copy, const void *from, size_t size)
{
    copy->of = from;
    copy->count = size / sizeof(uint64_t);
    copy->words = memory_map(size);
    assert_non_null(copy->words);
    for (size_t i = 0; i < copy->count; i++)
        copy->words[i] = ((const volatile uint64_t *)copy->of)[i];
}

// Words that are not what they were, and the last of them. Takes them as they are now.
static __attribute__((noinline, no_sanitize("address", "thread"))) size_t changed(struct copy *copy,
                                                                                  size_t *ret_last)
{
    size_t changes = 0;
    for (size_t i = 0; i < copy->count; i++) {
        uint64_t now = ((const volatile uint64_t *)copy->of)[i];
        if (now == copy->words[i])
            continue;
        copy->words[i] = now;
        changes++;
        *ret_last = i;
    }
    return changes;
}

static void leave(struct copy *copy)
{
    memory_unmap(copy->words, copy->count * sizeof(uint64_t));
}

static struct taskprof_task *another_task(void)
{
    static char stack[4096];
    struct taskprof_coroutine coroutine = {.size = sizeof(coroutine),
                                           .name = "other",
                                           .stack_low = stack,
                                           .stack_size = sizeof(stack)};
    struct taskprof_task *task;
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &task), 0);
    return task;
}

static void slots_begin_at_cache_lines(void **state)
{
    (void)state;
    struct taskprof_task *other = another_task();
    assert_int_equal((uintptr_t)taskprof_task_self() % LINE, 0);
    assert_int_equal((uintptr_t)other % LINE, 0);
    assert_int_equal(taskprof_coroutine_end(other), 0);
}

static void park_often(void)
{
    for (int i = 0; i < PARKS; i++) {
        taskprof_park(TASKPROF_COND_WAIT, __data_start);
        taskprof_unpark();
    }
}

static void a_park_writes_two_lines_of_its_own_slot_and_nothing_else(void **state)
{
    (void)state;
    struct taskprof_task *self = taskprof_task_self();
    struct taskprof_task *other = another_task();
    struct copy variables;
    struct copy mine;
    struct copy others;
    size_t last = 0;
    park_often(); // whatever the first one of a thread sets up
    take(&variables, __data_start, (size_t)(_end - __data_start));
    take(&mine, self, sizeof(*self));
    take(&others, other, sizeof(*other));
    counter++;
    assert_int_equal(changed(&variables, &last), 1); // so a counter would be seen

    park_often();
    assert_int_equal(changed(&variables, &last), 0);
    assert_int_equal(changed(&others, &last), 0);
    assert_true(changed(&mine, &last) > 0);
    assert_true(last * sizeof(uint64_t) < 2 * LINE);

    leave(&variables);
    leave(&mine);
    leave(&others);
    assert_int_equal(taskprof_coroutine_end(other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_begin_at_cache_lines),
        cmocka_unit_test(a_park_writes_two_lines_of_its_own_slot_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
