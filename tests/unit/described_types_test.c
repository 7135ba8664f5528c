// Described fields are found in the program's own DWARF where the compiler put them, and read from
// memory that may be anything. The oracle for places is offsetof.

#include "profiler/described/binaries.h"
#include "profiler/described/evidence.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct deep {
    char pad[3];
    struct {
        uint16_t used;
        struct {
            int8_t limit;
        };
    } ring[4];
};

enum phase { OPEN, CLOSED };

typedef struct {
    const char *label;
    struct deep *deep;
    struct deep inside;
    unsigned before : 5;
    unsigned flag : 1;
    int below : 4;
    enum phase phase;
    volatile _Atomic size_t count;
    _Bool shut;
    double ratio;
    pthread_cond_t not_empty;
    pthread_cond_t *not_full;
    char title[8];
} tested_queue;

// The DWARF of this very test speaks of it.
static tested_queue of_static_storage[3];
static struct described_file *file;

static void describe(const char *line)
{
    struct described_type *type = &file->types[file->count++];
    char problem[PROBLEM_MAX];
    assert_int_equal(
        description_parse(line, strlen(line), (unsigned)file->count, &type->description, problem),
        DESCRIPTION_READ);
}

static int begin(void **state)
{
    (void)state;
    static struct described_file room;
    file = &room;
    memset(file, 0, sizeof(*file));
    return 0;
}

static int end(void **state)
{
    (void)state;
    evidence_forget();
    binaries_close();
    return 0;
}

static struct binary *open_own(void)
{
    assert_true(binaries_refresh() > 0);
    struct binary *own = binaries_of_code((uintptr_t)open_own);
    assert_ptr_equal(own, binaries_at(0)); // the program comes first
    assert_true(binary_open(own, file));
    return own;
}

static void paths_lead_where_the_compiler_put_the_fields(void **state)
{
    (void)state;
    describe("tested_queue len=deep->ring[2].used cap=inside.ring[1].limit closed=shut name=title "
             "recv=not_empty send=not_full");
    open_own();
    assert_true(file->types[0].fits);
    const struct layout *layout = layouts_next(0, NULL);
    assert_non_null(layout);
    assert_null(layouts_next(0, layout));
    assert_int_equal(layout->size, sizeof(tested_queue));

    const struct layout_path *length = &layout->paths[ROLE_LENGTH];
    assert_int_equal(length->count, 2);
    assert_true(length->steps[0].deref);
    assert_int_equal(length->steps[0].offset, offsetof(tested_queue, deep));
    assert_int_equal(length->steps[1].offset, offsetof(struct deep, ring[2].used));
    assert_int_equal(length->size, 2);
    assert_false(length->is_signed);

    const struct layout_path *capacity = &layout->paths[ROLE_CAPACITY];
    assert_int_equal(capacity->count, 1);
    assert_int_equal(capacity->steps[0].offset, offsetof(tested_queue, inside.ring[1].limit));
    assert_int_equal(capacity->size, 1);
    assert_true(capacity->is_signed);

    assert_true(layout->paths[ROLE_CLOSED].is_bool);
    assert_int_equal(layout->paths[ROLE_NAME].size, 8);
    assert_true(layout_is_direct(&layout->paths[ROLE_RECEIVE]));
    assert_int_equal(layout->paths[ROLE_RECEIVE].steps[0].offset,
                     offsetof(tested_queue, not_empty));
    assert_int_equal(layout->paths[ROLE_RECEIVE].size, sizeof(pthread_cond_t));
    assert_false(layout_is_direct(&layout->paths[ROLE_SEND]));
}

static void numbers_of_every_kind_are_read(void **state)
{
    (void)state;
    describe("tested_queue len=count cap=inside.ring[0].limit closed=flag recv=not_empty");
    describe("tested_queue len=deep->ring[3].used closed=phase name=label recv=not_empty");
    describe("tested_queue len=below cap=inside.ring[0].limit recv=not_empty");
    open_own();
    const struct layout *first = layouts_next(0, NULL);
    const struct layout *second = layouts_next(1, NULL);
    const struct layout *third = layouts_next(2, NULL);
    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(third);
    struct deep deep = {.ring[3].used = 65000};
    tested_queue queue = {.count = 3, .below = -1, .phase = CLOSED, .label = "jobs\n"};
    queue.inside.ring[0].limit = 100;
    uintptr_t base = (uintptr_t)&queue;
    struct channel_reading reading;

    assert_int_equal(layout_read(first, base, &reading), 0);
    assert_int_equal(reading.length, 3);
    assert_int_equal(reading.capacity, 100);
    assert_false(reading.closed);
    queue.flag = 1;
    assert_int_equal(layout_read(first, base, &reading), 0);
    assert_true(reading.closed);
    // More in it than there is room for: this is no such queue.
    queue.count = 101;
    assert_int_equal(layout_read(first, base, &reading), -EFAULT);
    // Without a limit.
    queue.inside.ring[0].limit = -1;
    assert_int_equal(layout_read(first, base, &reading), 0);
    assert_int_equal(reading.capacity, TASKPROF_UNKNOWN);
    queue.inside.ring[0].limit = -2;
    assert_int_equal(layout_read(first, base, &reading), -EFAULT);

    // Behind a NULL pointer nothing is known; behind a wild one it is no such queue.
    assert_int_equal(layout_read(second, base, &reading), 0);
    assert_int_equal(reading.length, TASKPROF_UNKNOWN);
    assert_int_equal(reading.capacity, TASKPROF_UNKNOWN);
    assert_true(reading.closed);
    queue.deep = &deep;
    assert_int_equal(layout_read(second, base, &reading), 0);
    assert_int_equal(reading.length, 65000);
    queue.deep = (struct deep *)16;
    assert_int_equal(layout_read(second, base, &reading), -EFAULT);

    char name[TASKPROF_CHAN_NAME_SIZE];
    layout_name(second, base, name);
    assert_string_equal(name, "jobs?");
    // A negative length.
    queue.inside.ring[0].limit = 100;
    assert_int_equal(layout_read(third, base, &reading), -EFAULT);
    queue.below = 7;
    assert_int_equal(layout_read(third, base, &reading), 0);
    assert_int_equal(reading.length, 7);
}

static void memory_that_is_gone_is_no_queue(void **state)
{
    (void)state;
    describe("tested_queue len=count recv=not_empty name=title");
    open_own();
    const struct layout *layout = layouts_next(0, NULL);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    struct channel_reading reading;
    char name[TASKPROF_CHAN_NAME_SIZE] = "before";
    assert_int_equal(layout_read(layout, (uintptr_t)page, &reading), 0);
    munmap(page, 4096);
    assert_int_equal(layout_read(layout, (uintptr_t)page, &reading), -EFAULT);
    layout_name(layout, (uintptr_t)page, name);
    assert_string_equal(name, "");
}

static void what_does_not_fit_names_field_and_near_misses(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"tested_queue len=coumt recv=not_empty", "no field \"coumt\" (did you mean count?)"},
        {"tested_queue len=deep->rings[0].used recv=not_empty", "deep has no field \"rings\""},
        {"tested_queue len=deep.ring recv=not_empty", "deep is a pointer: write \"->\""},
        {"tested_queue len=inside->ring recv=not_empty", "inside is no pointer: write \".\""},
        {"tested_queue len=count.x recv=not_empty", "count is no struct"},
        {"tested_queue len=ratio recv=not_empty", "ratio is no whole number"},
        {"tested_queue len=label recv=not_empty", "label is a pointer"},
        {"tested_queue len=inside recv=not_empty", "inside is no number"},
        {"tested_queue len=inside.ring[4].used recv=not_empty", "inside.ring[4] lies behind"},
        {"tested_queue len=count[0] recv=not_empty", "count is no array"},
        {"tested_queue name=count recv=not_empty", "count is neither char * nor char[]"},
    };
    enum { CASES = sizeof(cases) / sizeof(*cases) };
    for (int i = 0; i < CASES; i++)
        describe(cases[i].line);
    open_own();
    for (int i = 0; i < CASES; i++) {
        assert_false(file->types[i].fits);
        if (!strstr(file->types[i].problem, cases[i].says))
            fail_msg("\"%s\": says \"%s\"", cases[i].line, file->types[i].problem);
    }
}

static void a_type_that_is_not_there_has_near_misses(void **state)
{
    (void)state;
    describe("tested_qeue recv=not_empty");
    describe("struct tested_queue recv=not_empty"); // a typedef is no tag
    open_own();
    assert_false(file->types[0].fits);
    assert_string_equal(file->types[0].problem, "");
    assert_true(file->types[0].near.count > 0);
    assert_string_equal(file->types[0].near.names[0].name, "tested_queue");
    assert_false(file->types[1].fits);
}

static void variables_are_found_by_any_address_inside(void **state)
{
    (void)state;
    describe("tested_queue recv=not_empty");
    struct binary *own = open_own();
    uintptr_t low = (uintptr_t)of_static_storage;
    assert_ptr_equal(binaries_of_data(low), own);
    const struct static_variable *variable = binary_variable(own, low);
    assert_non_null(variable);
    assert_int_equal(variable->high - variable->low, sizeof(of_static_storage));
    assert_ptr_equal(binary_variable(own, low + sizeof(of_static_storage) - 1), variable);
    assert_ptr_not_equal(binary_variable(own, low + sizeof(of_static_storage)), variable);
    int local;
    assert_null(binaries_of_data((uintptr_t)&local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_lead_where_the_compiler_put_the_fields, begin, end),
        cmocka_unit_test_setup_teardown(numbers_of_every_kind_are_read, begin, end),
        cmocka_unit_test_setup_teardown(memory_that_is_gone_is_no_queue, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_names_field_and_near_misses, begin, end),
        cmocka_unit_test_setup_teardown(a_type_that_is_not_there_has_near_misses, begin, end),
        cmocka_unit_test_setup_teardown(variables_are_found_by_any_address_inside, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
