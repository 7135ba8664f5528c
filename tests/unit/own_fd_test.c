// taskprof's own descriptors are marked while they are open, and no longer.

#include "profiler/base/own_fd.h"
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static void a_mark_lasts_as_long_as_the_descriptor(void **state)
{
    (void)state;
    int fd = own_fd(open("/dev/null", O_RDONLY));
    assert_true(taskprof_owns_fd(fd));
    own_fd_close(fd);
    assert_false(taskprof_owns_fd(fd));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void one_that_stays_is_moved_out_of_the_way(void **state)
{
    (void)state;
    int low = open("/dev/null", O_RDONLY);
    int fd = own_fd_high(low);
    assert_true(fd >= 100);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fcntl(low, F_GETFD), -1);
    assert_true(taskprof_owns_fd(fd));
    assert_false(taskprof_owns_fd(low));
    own_fd_close(fd);
}

static void numbers_that_are_none_are_nobodys(void **state)
{
    (void)state;
    static const int none[] = {-1, OWN_FD_MAX, OWN_FD_MAX + 5, 0x7fffffff};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        assert_int_equal(own_fd(none[i]), none[i]);
        own_fd_leave(none[i]);
        assert_false(taskprof_owns_fd(none[i]));
    }
}

// Descriptors that are open and not marked.
static unsigned strangers(void)
{
    unsigned count = 0;
    DIR *all = opendir("/proc/self/fd");
    for (struct dirent *one; (one = readdir(all));) {
        int fd = (int)strtol(one->d_name, NULL, 10);
        count += one->d_name[0] != '.' && fd != dirfd(all) && !taskprof_owns_fd(fd);
    }
    closedir(all);
    return count;
}

static unsigned marked(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < OWN_FD_MAX; fd++)
        count += taskprof_owns_fd(fd);
    return count;
}

static bool is_open_and_ours(int fd)
{
    return taskprof_owns_fd(fd) && fcntl(fd, F_GETFD) >= 0;
}

static void all_that_an_endpoint_opens_is_marked(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    (void)state;
    options.http = "127.0.0.1:0";
    unsigned before = strangers();
    assert_int_equal(marked(), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(taskprof_start(&options), 0);
        assert_int_equal(strangers(), before);
        assert_true(marked() >= 4);
        for (int fd = 0; fd < OWN_FD_LOW; fd++)
            assert_false(is_open_and_ours(fd));
        assert_int_equal(taskprof_stop(), 0);
        assert_int_equal(strangers(), before);
        assert_int_equal(marked(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_lasts_as_long_as_the_descriptor),
        cmocka_unit_test(one_that_stays_is_moved_out_of_the_way),
        cmocka_unit_test(numbers_that_are_none_are_nobodys),
        cmocka_unit_test(all_that_an_endpoint_opens_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
