// The names in a directory: readdir is the judge. And answers of a kernel that is none.

#include "profiler/base/directory.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 1000, NAMES_MAX = FILES + 2, NAME_BYTES = 256 };

static char folder[] = "/tmp/directory_test.XXXXXX";
static int folder_fd = -1;

static int by_bytes(const void *one, const void *other)
{
    return strcmp(one, other);
}

// Of every length that there is, of every byte but "/" and NUL, no two alike.
static void odd_name(unsigned number, char into[NAME_BYTES])
{
    size_t length = 6 + number % (NAME_BYTES - 6);
    snprintf(into, NAME_BYTES, "%05u", number);
    for (size_t i = 5; i < length; i++)
        into[i] = (char)(1 + ((size_t)number * 7 + i) % 255);
    into[length] = '\0';
    for (char *at = into; *at; at++)
        if (*at == '/')
            *at = ' ';
}

static int fill_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder_fd >= 0);
    for (unsigned i = 0; i < FILES; i++) {
        char name[NAME_BYTES];
        odd_name(i, name);
        int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    return 0;
}

static int empty_folder(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FILES; i++) {
        char name[NAME_BYTES];
        odd_name(i, name);
        unlinkat(folder_fd, name, 0);
    }
    close(folder_fd);
    return rmdir(folder);
}

static size_t our_names(int fd, char into[NAMES_MAX][NAME_BYTES])
{
    struct directory directory;
    const char *name;
    size_t count = 0;
    int result;
    directory_begin(&directory, fd);
    while ((result = directory_next(&directory, &name)) > 0) {
        assert_true(count < NAMES_MAX && strlen(name) < NAME_BYTES);
        snprintf(into[count++], NAME_BYTES, "%s", name);
    }
    assert_int_equal(result, 0);
    assert_int_equal(directory_next(&directory, &name), 0);
    qsort(into, count, NAME_BYTES, by_bytes);
    return count;
}

static void every_name_is_met_once(void **state)
{
    (void)state;
    static char ours[NAMES_MAX][NAME_BYTES];
    static char theirs[NAMES_MAX][NAME_BYTES];
    size_t count = 0;
    DIR *judge = opendir(folder);
    assert_non_null(judge);
    for (const struct dirent *entry; (entry = readdir(judge));) {
        assert_true(count < NAMES_MAX);
        snprintf(theirs[count++], NAME_BYTES, "%s", entry->d_name);
    }
    closedir(judge);
    qsort(theirs, count, NAME_BYTES, by_bytes);
    assert_int_equal(count, NAMES_MAX);
    // Twice: the second walk begins where the descriptor was put.
    for (int round = 0; round < 2; round++) {
        assert_int_equal(lseek(folder_fd, 0, SEEK_SET), 0);
        assert_int_equal(our_names(folder_fd, ours), count);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(ours[i], theirs[i]);
    }
}

static void what_can_not_be_read_is_an_error(void **state)
{
    (void)state;
    struct directory directory;
    const char *name = "kept";
    directory_begin(&directory, -1);
    assert_int_equal(directory_next(&directory, &name), -EBADF);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    directory_begin(&directory, fd);
    assert_int_equal(directory_next(&directory, &name), -ENOTDIR);
    close(fd);
    assert_string_equal(name, "kept");
}

enum { LENGTH_AT = 16, NAME_AT = 19 }; // in a record, see getdents(2)

// As a record of a kernel: `length` says how long it is, `name` and a NUL stand in it.
static void put_record(struct directory *directory, size_t at, unsigned short length,
                       const char *name)
{
    memcpy(directory->bytes + at + LENGTH_AT, &length, sizeof(length));
    memcpy(directory->bytes + at + NAME_AT, name, strlen(name) + 1);
}

static void records_that_can_not_be_end_the_walk(void **state)
{
    (void)state;
    static const struct {
        unsigned short length;
        size_t filled;
    } wrong[] = {
        {0, 64},     // would never end
        {8, 64},     // shorter than what stands before the name
        {16, 64},    // likewise
        {26, 64},    // the next one would not be aligned
        {72, 64},    // reaches beyond what was read
        {65528, 64}, // likewise, and beyond the buffer
        {32, 31},    // likewise, by a byte
        {24, 18},    // not even the length was read whole
        {24, 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct directory directory = {.fd = -1, .filled = 32 + wrong[i].filled};
        const char *name = NULL;
        put_record(&directory, 0, 32, "before");
        put_record(&directory, 32, wrong[i].length, "wrong");
        assert_int_equal(directory_next(&directory, &name), 1);
        assert_string_equal(name, "before");
        assert_int_equal(directory_next(&directory, &name), -EPROTO);
        assert_string_equal(name, "before");
        assert_int_equal(directory_next(&directory, &name), -EPROTO);
    }
}

static void a_name_without_an_end_is_none(void **state)
{
    (void)state;
    struct directory directory = {.fd = -1, .filled = DIRECTORY_BYTES};
    const char *name;
    memset(directory.bytes, 'n', sizeof(directory.bytes));
    put_record(&directory, 0, DIRECTORY_BYTES, "");
    memset(directory.bytes + NAME_AT, 'n', DIRECTORY_BYTES - NAME_AT);
    assert_int_equal(directory_next(&directory, &name), -EPROTO);
    // One that fills its record to the last byte is.
    directory.bytes[DIRECTORY_BYTES - 1] = '\0';
    assert_int_equal(directory_next(&directory, &name), 1);
    assert_int_equal(strlen(name), DIRECTORY_BYTES - NAME_AT - 1);
    // All that was read was handed out: what comes next is asked of the kernel.
    assert_int_equal(directory_next(&directory, &name), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_met_once),
        cmocka_unit_test(what_can_not_be_read_is_an_error),
        cmocka_unit_test(records_that_can_not_be_end_the_walk),
        cmocka_unit_test(a_name_without_an_end_is_none),
    };
    return cmocka_run_group_tests(tests, fill_folder, empty_folder);
}
