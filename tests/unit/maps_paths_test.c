// The paths of mapped files, with little room for them: those of what is mapped now are right,
// however many there were before, and those that somebody holds on to stay.

#include "profiler/base/epoch.h"
#include "profiler/unwind/picture.h"
#include "tests/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    AT_ONCE = 40,     // files that are mapped at one time
    PATHS = 3000,     // that ever were
    SMALL = 64 << 10, // room for some hundred
    TINY = 2 << 10,   // less than the paths of AT_ONCE files
    PAGE = 4096,
};

static char directory[] = "/tmp/taskprof-paths-XXXXXX";
static size_t limit_before;
// Released at each test's end, however it ends.
static struct epoch_hold hold;
static void *mapped[AT_ONCE];
static unsigned next_file;

static int begin(void **state)
{
    (void)state;
    limit_before = maps_paths.budget.limit;
    return mkdtemp(directory) ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void unmap(unsigned at)
{
    if (mapped[at])
        assert_int_equal(munmap(mapped[at], PAGE), 0);
    mapped[at] = NULL;
}

static int end(void **state)
{
    (void)state;
    epoch_release(&hold);
    maps_paths.budget.limit = limit_before;
    for (unsigned i = 0; i < AT_ONCE; i++)
        unmap(i);
    return maps_refresh();
}

// A file under a path that there never was, in the place of another. Every second one is deleted.
static void map_next(unsigned at)
{
    char path[128];
    unmap(at);
    unsigned number = next_file++;
    int fd;
    if (number % 2) {
        snprintf(path, sizeof(path), "code of memory, number %u, under a name of its own", number);
        fd = memfd_create(path, MFD_CLOEXEC);
    } else {
        snprintf(path, sizeof(path), "%s/plug in number %u.so", directory, number);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    }
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, PAGE), 0);
    mapped[at] = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_true(mapped[at] != MAP_FAILED);
    close(fd);
    if (number % 2 == 0)
        unlink(path);
}

static uint64_t left_out(void)
{
    return atomic_load(&maps_paths.budget.left_out);
}

// Compares with the kernel's own words. The number of paths that are missing.
static unsigned compare(void)
{
    static const char deleted[] = " (deleted)";
    char *line = NULL;
    size_t room = 0;
    unsigned missing = 0;
    unsigned compared = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (getline(&line, &room, file) > 0) {
        unsigned long start, limit, inode;
        char permissions[8];
        int path_at = 0;
        struct mapping found;
        assert_int_equal(sscanf(line, "%lx-%lx %7s %*x %*x:%*x %lu %n", &start, &limit, permissions,
                                &inode, &path_at),
                         4);
        char *path = line + path_at;
        path[strcspn(path, "\n")] = '\0';
        if (permissions[2] != 'x' || !inode)
            continue;
        size_t length = strlen(path);
        bool is_deleted =
            length > strlen(deleted) && strcmp(path + length - strlen(deleted), deleted) == 0;
        if (is_deleted)
            path[length - strlen(deleted)] = '\0';
        epoch_hold(&hold);
        assert_true(maps_find(start, &found));
        assert_int_equal(found.start, start);
        assert_int_equal(found.limit, limit);
        assert_int_equal(found.inode, inode);
        assert_int_equal(found.deleted, is_deleted);
        if (found.path[0])
            assert_string_equal(found.path, path);
        else
            missing++;
        epoch_release(&hold);
        compared++;
    }
    free(line);
    fclose(file);
    for (unsigned i = 0; i < AT_ONCE; i++)
        compared -= mapped[i] != NULL;
    assert_true(compared >= 2); // the program and the C library
    return missing;
}

// Reads the mappings anew; whether the table turned.
static bool refresh(void)
{
    uint32_t young = atomic_load(&maps_paths.young);
    assert_int_equal(maps_refresh(), 0);
    return atomic_load(&maps_paths.young) != young;
}

static void paths_of_what_is_mapped_now_are_right_through_many_turns(void **state)
{
    (void)state;
    uint64_t before = left_out();
    unsigned turns = 0;
    maps_paths.budget.limit = SMALL;
    for (unsigned i = 0; i < PATHS; i++) {
        map_next(i % AT_ONCE);
        if (i % 16)
            continue;
        turns += refresh();
        assert_int_equal(compare(), 0);
    }
    assert_true(turns >= 3);
    assert_int_equal(left_out(), before);
    assert_true(intern_bytes(&maps_paths) <= SMALL);
}

static void mappings_that_stay_keep_their_paths_through_turns(void **state)
{
    (void)state;
    uint64_t before = left_out();
    unsigned turns = 0;
    maps_paths.budget.limit = SMALL;
    for (unsigned i = 0; i < AT_ONCE; i++)
        map_next(i);
    for (unsigned i = 0; i < PATHS; i++) {
        map_next(i % 8); // all others are old
        if (i % 8)
            continue;
        turns += refresh();
        if (i % 64 == 0)
            assert_int_equal(compare(), 0);
    }
    assert_true(turns >= 3);
    refresh();
    assert_int_equal(compare(), 0);
    assert_int_equal(left_out(), before);
}

static void paths_without_room_are_empty_and_counted_and_come_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < AT_ONCE; i++)
        map_next(i);
    maps_paths.budget.limit = TINY;
    refresh();
    for (int round = 0; round < 10; round++) {
        uint64_t before = left_out();
        map_next((unsigned)round);
        refresh();
        unsigned missing = compare();
        assert_true(missing > 0 && missing < AT_ONCE + 20);
        // Mappings of no file have paths as well ("[vdso]"), which compare leaves alone.
        assert_in_range(left_out() - before, missing, missing + 4);
    }
    maps_paths.budget.limit = limit_before;
    uint64_t after = left_out();
    refresh();
    assert_int_equal(compare(), 0);
    assert_int_equal(left_out(), after);
}

static void a_path_that_is_held_stays_while_the_table_turns_and_fills(void **state)
{
    (void)state;
    static struct epoch_hold lasting;
    struct arena arena = {0};
    struct mapping held;
    struct mapping *all;
    unsigned main_mapping;
    unsigned turns = 0;
    map_next(0);
    refresh();
    refresh(); // what waits of before is over
    maps_paths.budget.limit = SMALL;
    epoch_hold(&lasting);
    assert_true(maps_find((uintptr_t)mapped[0], &held));
    int count = maps_list(&arena, &all, &main_mapping);
    assert_true(count > 2);
    char path[256];
    snprintf(path, sizeof(path), "%s", held.path);
    assert_non_null(strstr(path, " number "));
    char **paths = calloc((size_t)count, sizeof(*paths));
    for (int i = 0; i < count; i++)
        paths[i] = strdup(all[i].path);
    uint64_t before = left_out();
    unsigned rounds = 0;
    for (; left_out() == before; rounds++) {
        assert_true(rounds < PATHS);
        for (unsigned i = 0; i < AT_ONCE; i++)
            map_next(i);
        turns += refresh();
        assert_string_equal(held.path, path);
    }
    assert_int_equal(turns, 1); // and no second while somebody holds on to what is older
    for (int i = 0; i < count; i++) {
        assert_string_equal(all[i].path, paths[i]);
        free(paths[i]);
    }
    free(paths);
    arena_release(&arena);
    epoch_release(&lasting);
    refresh();
    assert_int_equal(compare(), 0);
    before = left_out();
    for (unsigned i = 0; i < AT_ONCE; i++)
        map_next(i);
    refresh();
    assert_int_equal(compare(), 0);
    assert_int_equal(left_out(), before);
}

static _Atomic bool over;
static _Atomic unsigned empty;
static char program[4096];

static void *look_until_over(void *unused)
{
    uintptr_t wrong = 0;
    (void)unused;
    while (!atomic_load(&over)) {
        struct epoch_hold own = {0};
        struct mapping found;
        epoch_hold(&own);
        bool known = maps_find((uintptr_t)look_until_over, &found);
        for (int i = 0; i < 20; i++)
            wrong += !known || (found.path[0] && strcmp(found.path, program) != 0);
        if (known && !found.path[0])
            atomic_fetch_add(&empty, 1);
        epoch_release(&own);
    }
    return (void *)wrong;
}

static void threads_that_look_while_the_table_turns_see_whole_paths(void **state)
{
    (void)state;
    enum { LOOKERS = 3 };
    pthread_t threads[LOOKERS];
    unsigned turns = 0;
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    assert_true(length > 0);
    uint64_t before = left_out();
    maps_paths.budget.limit = SMALL;
    for (int i = 0; i < LOOKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_until_over, NULL), 0);
    for (unsigned i = 0; i < PATHS / 2; i++) {
        map_next(i % AT_ONCE);
        if (i % 16 == 0)
            turns += refresh();
    }
    atomic_store(&over, true);
    uintptr_t wrong = 0;
    for (int i = 0; i < LOOKERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (uintptr_t)result;
    }
    assert_int_equal(wrong, 0);
    assert_true(turns >= 2);
    // A thread that the machine lets wait in the midst of a hold may keep what is old for long.
    assert_true(atomic_load(&empty) == 0 || left_out() > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(paths_of_what_is_mapped_now_are_right_through_many_turns, end),
        cmocka_unit_test_teardown(mappings_that_stay_keep_their_paths_through_turns, end),
        cmocka_unit_test_teardown(paths_without_room_are_empty_and_counted_and_come_back, end),
        cmocka_unit_test_teardown(a_path_that_is_held_stays_while_the_table_turns_and_fills, end),
        cmocka_unit_test_teardown(threads_that_look_while_the_table_turns_see_whole_paths, end),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
