// Memory that is given back is there for the next one who wants as much; it is clean, and bounded.
// A profile of what was seen before unmaps nothing: that would interrupt the application's threads.

#include "profiler/base/memory.h"
#include "profiler/base/spare.h"
#include "tests/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

// In front of the C library's: counts what makes the kernel interrupt other processors.
static _Atomic unsigned unmapped;

int munmap(void *at, size_t bytes)
{
    atomic_fetch_add(&unmapped, 1);
    return (int)syscall(SYS_munmap, at, bytes);
}

void *mremap(void *at, size_t bytes, size_t wanted, int flags, ...)
{
    atomic_fetch_add(&unmapped, 1);
    return (void *)syscall(SYS_mremap, at, bytes, wanted, flags);
}

static void drain(void)
{
    size_t bytes;
    for (void *pages; (pages = spare_evict(&bytes)) != NULL;)
        munmap(pages, bytes);
}

static void what_was_given_back_comes_again_zeroed(void **state)
{
    (void)state;
    drain();
    char *first = memory_map(3 * SPARE_PAGE - 5);
    memset(first, 'x', 3 * SPARE_PAGE);
    memory_unmap(first, 3 * SPARE_PAGE - 5);
    assert_null(spare_take(2 * SPARE_PAGE));
    assert_null(spare_take(4 * SPARE_PAGE));
    char *again = memory_map(2 * SPARE_PAGE + 1);
    assert_ptr_equal(again, first);
    for (size_t i = 0; i < (size_t)3 * SPARE_PAGE; i++)
        assert_int_equal(again[i], 0);
    memory_unmap(again, 2 * SPARE_PAGE + 1);
}

static void large_regions_are_not_kept(void **state)
{
    (void)state;
    drain();
    unsigned before = atomic_load(&unmapped);
    memory_unmap(memory_map(SPARE_BYTES_MAX + 1), SPARE_BYTES_MAX + 1);
    assert_int_equal(atomic_load(&unmapped), before + 1);
    assert_null(spare_take(SPARE_BYTES_MAX + 1));
    assert_null(spare_take(0));
}

static size_t drained_bytes(size_t *ret_count)
{
    size_t all = 0;
    size_t bytes;
    *ret_count = 0;
    for (void *pages; (pages = spare_evict(&bytes)) != NULL; all += bytes, ++*ret_count)
        munmap(pages, bytes);
    return all;
}

static void no_more_is_kept_than_was_said(void **state)
{
    (void)state;
    static const size_t sizes[] = {SPARE_PAGE, 5 * SPARE_PAGE, SPARE_BYTES_MAX};
    for (size_t size = 0; size < 3; size++) {
        enum { MANY = 3 * SPARES };
        void *regions[MANY];
        drain();
        for (int i = 0; i < MANY; i++)
            regions[i] = memory_map(sizes[size]);
        for (int i = 0; i < MANY; i++)
            memory_unmap(regions[i], sizes[size]);
        size_t count;
        assert_true(drained_bytes(&count) <= (size_t)SPARE_PAGES_ALL * SPARE_PAGE);
        assert_in_range(count, 1, SPARES);
    }
}

enum { THREADS = 4, ROUNDS = 20000 };

// A region has one owner at a time: what one writes is not changed by another.
static void *take_and_give(void *argument)
{
    uintptr_t me = (uintptr_t)argument;
    unsigned seed = (unsigned)me;
    uintptr_t faults = 0;
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = (1 + (size_t)rand_r(&seed) % 3) * SPARE_PAGE;
        uintptr_t *words = memory_map(bytes);
        size_t last = bytes / sizeof(*words) - 1;
        faults += words[0] || words[last];
        words[0] = words[last] = me;
        faults += words[0] != me || words[last] != me;
        memory_unmap(words, bytes);
    }
    return (void *)faults;
}

static void a_region_has_one_owner_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *faults;
        pthread_join(threads[i], &faults);
        assert_null(faults);
    }
}

static void write_profile(const char *profile, const char *query)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(taskprof_write(fd, profile, query), 0);
    close(fd);
}

// The first ones find their sizes, and some come while symbols are still being read.
static void settles_at(unsigned most, const char *profile, const char *query)
{
    int quiet = 0;
    for (int i = 0; i < 1000 && quiet < 5; i++) {
        unsigned before = atomic_load(&unmapped);
        write_profile(profile, query);
        quiet = atomic_load(&unmapped) <= before + most ? quiet + 1 : 0;
    }
    assert_int_equal(quiet, 5);
}

static void a_profile_of_what_is_known_unmaps_nothing(void **state)
{
    (void)state;
    settles_at(0, "goroutine", "debug=0");
    settles_at(0, "channel", "debug=0");
    settles_at(1, "goroutine", "debug=2"); // its list of tasks
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_back_comes_again_zeroed),
        cmocka_unit_test(large_regions_are_not_kept),
        cmocka_unit_test(no_more_is_kept_than_was_said),
        cmocka_unit_test(a_region_has_one_owner_at_a_time),
        cmocka_unit_test(a_profile_of_what_is_known_unmaps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
