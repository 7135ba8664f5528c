// For the tests of symbols: a directory of their own, programs built in it, what other tools say.

#pragma once

#include "profiler/unwind/maps.h"
#include "tests/test.h"

#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char targets_directory[256];

// Runs a shell command in the directory; true if it succeeded. $SRC is this file's directory.
static inline bool __attribute__((format(printf, 1, 2))) targets_try(const char *format, ...)
{
    char command[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < sizeof(command));
    return system(command) == 0;
}

#define targets_run(...)                      \
    do {                                      \
        if (!targets_try(__VA_ARGS__))        \
            fail_msg("failed: " __VA_ARGS__); \
    } while (0)

static inline int targets_setup(void **state)
{
    (void)state;
    char sources[4096];
    snprintf(sources, sizeof(sources), "%s", __FILE__);
    *strrchr(sources, '/') = '\0';
    const char *temporary = getenv("TMPDIR");
    snprintf(targets_directory, sizeof(targets_directory), "%s/taskprof-symbols-XXXXXX",
             temporary ? temporary : "/tmp");
    if (!mkdtemp(targets_directory) || chdir(targets_directory) || setenv("SRC", sources, 1))
        return -1;
    // Tools that look for debug files elsewhere would differ from us for reasons of no interest.
    unsetenv("DEBUGINFOD_URLS");
    return 0;
}

static inline int targets_teardown(void **state)
{
    (void)state;
    if (chdir("/"))
        return -1;
    return targets_try("rm -rf %s", targets_directory) ? 0 : -1;
}

static inline const char *targets_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", targets_directory, name);
    return path;
}

// The mapping that holds an address, as the loader knows it.
struct targets_search {
    uintptr_t address;
    struct mapping *mapping;
    bool found;
};

static inline int targets_each_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    struct targets_search *search = context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || search->address < start ||
            search->address >= start + segment->p_memsz)
            continue;
        uintptr_t skew = start % 4096;
        *search->mapping = (struct mapping){.start = start - skew,
                                            .limit = (start + segment->p_memsz + 4095) & -4096ul,
                                            .offset = segment->p_offset - skew,
                                            .bias = info->dlpi_addr,
                                            .path = info->dlpi_name};
        if (!info->dlpi_name[0])
            search->mapping->path = "/proc/self/exe";
        else if (info->dlpi_name[0] != '/')
            search->mapping->path = "[vdso]";
        struct stat status;
        if (stat(search->mapping->path, &status) == 0) {
            search->mapping->device = status.st_dev;
            search->mapping->inode = status.st_ino;
        }
        search->found = true;
        return 1;
    }
    return 0;
}

static inline struct mapping targets_mapping(const void *address)
{
    struct mapping mapping = {0};
    struct targets_search search = {.address = (uintptr_t)address, .mapping = &mapping};
    dl_iterate_phdr(targets_each_object, &search);
    assert_true(search.found);
    return mapping;
}

// The mapping of a file that is not loaded: its own addresses.
static inline struct mapping targets_unloaded(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (struct mapping){.start = 4096,
                            .limit = 8192,
                            .path = path,
                            .device = status.st_dev,
                            .inode = status.st_ino};
}
