// The picture of mapped code is that of the loader, of the kernel, and of readelf.

#include "profiler/unwind/maps.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/proc_maps.h"
#include "tests/test.h"
#include "tests/unit/maps_helpers.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool parse(const char *text, struct proc_map *ret, char *line, size_t room)
{
    size_t length = strlen(text);
    assert_true(length < room);
    memcpy(line, text, length + 1);
    return proc_maps_parse(line, length, ret);
}

static void lines_are_parsed_with_all_their_oddities(void **state)
{
    (void)state;
    struct proc_map map;
    char line[512];
    assert_true(
        parse("7f79309ec000-7f7930a12000 r-xp 00026000 fe:01 332835      /usr/lib/libc.so.6", &map,
              line, sizeof(line)));
    assert_int_equal(map.start, 0x7f79309ec000);
    assert_int_equal(map.limit, 0x7f7930a12000);
    assert_int_equal(map.offset, 0x26000);
    assert_int_equal(map.device, 0xfe01);
    assert_int_equal(map.inode, 332835);
    assert_true(map.readable && map.executable && !map.deleted);
    assert_string_equal(map.path, "/usr/lib/libc.so.6");
    assert_true(parse("1000-2000 --xp 00000000 00:00 0 ", &map, line, sizeof(line)));
    assert_string_equal(map.path, "");
    assert_true(map.executable && !map.readable);
    assert_true(parse("1000-2000 rw-p 00000000 00:00 0", &map, line, sizeof(line)));
    assert_string_equal(map.path, "");
    assert_true(parse("1000-2000 r--p 00000000 00:05 7    /a b/c\\012d\\040e\\134f\\999 (deleted)",
                      &map, line, sizeof(line)));
    assert_string_equal(map.path, "/a b/c\nd e\\f\\999");
    assert_true(map.deleted);
    assert_true(parse("1000-2000 r-xs 00000000 00:05 7    /memfd:code (deleted)", &map, line,
                      sizeof(line)));
    assert_string_equal(map.path, "/memfd:code");
    static const char *const broken[] = {"",
                                         "1000",
                                         "1000-",
                                         "-2000 r-xp 0 0:0 0",
                                         "2000-1000 r-xp 00000000 00:00 0",
                                         "1000-2000 r-",
                                         "1000-2000 r-xp",
                                         "1000-2000 r-xp zz 00:00 0",
                                         "1000-2000 r-xp 0 0 0",
                                         "g000-2000 r-xp 00000000 00:00 0"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_false(parse(broken[i], &map, line, sizeof(line)));
}

static int compare_with_loader(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    unsigned *seen = context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        uintptr_t first = info->dlpi_addr + segment->p_vaddr;
        uintptr_t last = first + segment->p_memsz - 1;
        struct mapping found;
        assert_true(maps_find(first, &found));
        assert_int_equal(found.bias, info->dlpi_addr);
        assert_true(maps_find(last, &found));
        assert_int_equal(found.bias, info->dlpi_addr);
        (*seen)++;
    }
    return 0;
}

static void biases_are_the_loaders(void **state)
{
    (void)state;
    assert_int_equal(maps_refresh(), 0);
    unsigned seen = 0;
    dl_iterate_phdr(compare_with_loader, &seen);
    assert_true(seen >= 4); // this program, libc, the vdso, the loader
}

// The build id as readelf prints it; "" without one.
static void readelf_build_id(const char *path, char *into, size_t room)
{
    char command[4200], line[512];
    snprintf(command, sizeof(command), "readelf -n '%s' 2>/dev/null", path);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    into[0] = 0;
    while (fgets(line, sizeof(line), output)) {
        const char *id = strstr(line, "Build ID: ");
        if (id)
            snprintf(into, room, "%.*s", (int)strcspn(id + 10, "\n"), id + 10);
    }
    pclose(output);
}

static void build_ids_are_those_that_readelf_prints(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_at;
    int count = maps_list(&arena, &mappings, &main_at);
    assert_true(count >= 4);
    unsigned compared = 0;
    for (int i = 0; i < count; i++) {
        assert_true(i == 0 || mappings[i - 1].limit <= mappings[i].start);
        if (mappings[i].path[0] != '/' || mappings[i].deleted)
            continue;
        char expected[256], ours[2 * BUILD_ID_MAX + 1] = "";
        readelf_build_id(mappings[i].path, expected, sizeof(expected));
        for (unsigned b = 0; b < mappings[i].build_id_length; b++)
            snprintf(ours + 2 * b, 3, "%02x", mappings[i].build_id[b]);
        assert_string_equal(ours, expected);
        compared += expected[0] != 0;
    }
    assert_true(compared >= 3);
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = 0;
    assert_string_equal(mappings[main_at].path, self);
    arena_release(&arena);
}

static void every_executable_line_of_the_kernel_is_there(void **state)
{
    (void)state;
    assert_int_equal(maps_refresh(), 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4200];
    unsigned seen = 0;
    while (fgets(line, sizeof(line), maps)) {
        unsigned long start, limit, offset;
        char permissions[5];
        assert_int_equal(sscanf(line, "%lx-%lx %4s %lx", &start, &limit, permissions, &offset), 4);
        struct mapping found;
        bool expected = permissions[2] == 'x' && !strstr(line, "[vsyscall]");
        assert_int_equal(maps_find(start, &found), expected);
        if (!expected)
            continue;
        assert_int_equal(found.start, start);
        assert_int_equal(found.limit, limit);
        assert_int_equal(found.offset, offset);
        seen++;
    }
    fclose(maps);
    assert_true(seen >= 4);
    struct mapping found;
    assert_false(maps_find(0, &found));
    assert_false(maps_find(UINTPTR_MAX, &found));
}

// Copies libc into a file and maps it as the loader would; returns where its code is then.
static uintptr_t map_copy_of_libc(int fd, void **ret_image, size_t *ret_size,
                                  struct mapping *ret_libc)
{
    assert_true(maps_find((uintptr_t)dlsym(RTLD_DEFAULT, "getpid"), ret_libc));
    int from = open(ret_libc->path, O_RDONLY | O_CLOEXEC);
    assert_true(from >= 0);
    struct stat status;
    assert_int_equal(fstat(from, &status), 0);
    char *bytes = malloc((size_t)status.st_size);
    assert_int_equal(pread(from, bytes, (size_t)status.st_size, 0), status.st_size);
    assert_int_equal(pwrite(fd, bytes, (size_t)status.st_size, 0), status.st_size);
    free(bytes);
    close(from);
    *ret_size = (size_t)status.st_size;
    *ret_image = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(*ret_image != MAP_FAILED);
    char *code = (char *)*ret_image + ret_libc->offset;
    assert_true(mmap(code, ret_libc->limit - ret_libc->start, PROT_READ | PROT_EXEC,
                     MAP_PRIVATE | MAP_FIXED, fd, (off_t)ret_libc->offset) == code);
    return (uintptr_t)code;
}

static void memfds_have_their_name_their_build_id_and_are_deleted(void **state)
{
    (void)state;
    struct mapping libc, found;
    size_t size;
    int fd = memfd_create("some code", MFD_CLOEXEC);
    void *image;
    uintptr_t code = map_copy_of_libc(fd, &image, &size, &libc);
    assert_int_equal(maps_refresh(), 0);
    assert_true(maps_find(code, &found));
    assert_string_equal(found.path, "/memfd:some code");
    assert_true(found.deleted);
    assert_int_equal(found.bias, image);
    assert_int_equal(found.build_id_length, libc.build_id_length);
    assert_memory_equal(found.build_id, libc.build_id, libc.build_id_length);
    munmap(image, size);
    close(fd);
}

static void a_file_with_a_strange_name_keeps_it(void **state)
{
    (void)state;
    char directory[] = "/tmp/taskprof maps XXXXXX", path[128];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a b\nc.so", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    struct mapping libc, found;
    size_t size;
    void *image;
    uintptr_t code = map_copy_of_libc(fd, &image, &size, &libc);
    assert_int_equal(maps_refresh(), 0);
    assert_true(maps_find(code, &found));
    assert_string_equal(found.path, path);
    assert_false(found.deleted);
    unlink(path);
    assert_int_equal(maps_refresh(), 0);
    assert_true(maps_find(code, &found));
    assert_string_equal(found.path, path);
    assert_true(found.deleted);
    munmap(image, size);
    close(fd);
    rmdir(directory);
}

static void the_generation_goes_up_when_code_vanishes_and_only_then(void **state)
{
    (void)state;
    assert_int_equal(maps_refresh(), 0);
    uint32_t before = maps_generation();
    void *code = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(maps_refresh(), 0);
    assert_int_equal(maps_generation(), before);
    struct mapping found;
    assert_true(maps_find((uintptr_t)code + 8191, &found));
    munmap(code, 8192);
    assert_int_equal(maps_refresh(), 0);
    assert_int_equal(maps_generation(), before + 1);
    assert_false(maps_find((uintptr_t)code + 8191, &found));
}

// An image whose header is hostile must do no harm, and its mapping is still there.
static void a_header_that_lies_does_no_harm(void **state)
{
    (void)state;
    struct mapping libc, found;
    size_t size;
    int fd = memfd_create("liar", MFD_CLOEXEC);
    void *image;
    uintptr_t code = map_copy_of_libc(fd, &image, &size, &libc);
    srand(7);
    for (int round = 0; round < 300; round++) {
        unsigned char byte = (unsigned char)rand();
        assert_int_equal(pwrite(fd, &byte, 1, rand() % 900), 1);
        assert_int_equal(maps_refresh(), 0);
        assert_true(maps_find(code + 4096, &found));
        assert_true(found.build_id_length <= BUILD_ID_MAX);
    }
    munmap(image, size);
    close(fd);
}

static void the_end_of_a_mapping_of_any_kind_is_found(void **state)
{
    (void)state;
    char *pages = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(mprotect(pages + 4096, 3 * 4096, PROT_READ | PROT_WRITE), 0);
    uintptr_t start = (uintptr_t)pages + 4096;
    errno = EXDEV;
    assert_int_equal(end_of_mapping(start), start + 3 * 4096);
    assert_int_equal(end_of_mapping(start + 3 * 4096 - 1), start + 3 * 4096);
    assert_int_equal(end_of_mapping(start - 1), 0);
    assert_int_equal(end_of_mapping(start + 3 * 4096), 0);
    assert_int_equal(end_of_mapping(1), 0);
    assert_int_equal(errno, EXDEV);
    munmap(pages, 5 * 4096);
}

static atomic_bool stop;

static void *load_and_unload(void *argument)
{
    while (!stop) {
        void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(code, 4096);
    }
    return argument;
}

static void *look(void *argument)
{
    uintptr_t wrong = 0;
    for (int i = 0; i < 20000; i++) {
        struct mapping found;
        wrong += !maps_find((uintptr_t)&look, &found) || found.limit <= (uintptr_t)&look;
    }
    (void)argument;
    return (void *)wrong;
}

static void looking_and_refreshing_at_once_is_safe(void **state)
{
    (void)state;
    pthread_t loader, reader;
    assert_int_equal(pthread_create(&loader, NULL, load_and_unload, NULL), 0);
    assert_int_equal(pthread_create(&reader, NULL, look, NULL), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(maps_refresh(), 0);
    void *wrong;
    pthread_join(reader, &wrong);
    stop = true;
    pthread_join(loader, NULL);
    assert_null(wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_parsed_with_all_their_oddities),
        cmocka_unit_test(biases_are_the_loaders),
        cmocka_unit_test(build_ids_are_those_that_readelf_prints),
        cmocka_unit_test(every_executable_line_of_the_kernel_is_there),
        cmocka_unit_test(memfds_have_their_name_their_build_id_and_are_deleted),
        cmocka_unit_test(a_file_with_a_strange_name_keeps_it),
        cmocka_unit_test(the_generation_goes_up_when_code_vanishes_and_only_then),
        cmocka_unit_test(a_header_that_lies_does_no_harm),
        cmocka_unit_test(the_end_of_a_mapping_of_any_kind_is_found),
        cmocka_unit_test(looking_and_refreshing_at_once_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
