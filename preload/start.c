// The start, before main: the endpoint, and the wrappers' permission to park.

#include "preload/wrap.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>

struct wrap_library wrap_library = {.low = 0, .size = UINTPTR_MAX};

// The one thing that is ever printed. Not with stdio: its buffers are the application's.
static void say(const char *format, const char *what)
{
    char line[1024];
    int length = snprintf(line, sizeof(line), format, what);
    if (length >= (int)sizeof(line))
        length = sizeof(line) - 1;
    ssize_t written = REAL(write)(STDERR_FILENO, line, (size_t)length);
    (void)written; // nobody is there to be told
}

static int find_library(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    uintptr_t inside = (uintptr_t)taskprof_start;
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        if (start < low)
            low = start;
        if (start + segment->p_memsz > high)
            high = start + segment->p_memsz;
    }
    if (inside < low || inside >= high)
        return 0;
    *(struct wrap_library *)found = (struct wrap_library){low, high - low};
    return 1;
}

static void arm(void)
{
    struct wrap_library library;
    if (!dl_iterate_phdr(find_library, &library))
        return;
    __atomic_store_n(&wrap_library.low, library.low, __ATOMIC_RELAXED);
    __atomic_store_n(&wrap_library.size, library.size, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void start(void)
{
    real_resolve();
    const char *where = secure_getenv("TASKPROF_HTTP");
    if (!where || !*where)
        return;
    if (taskprof_start(NULL) < 0) {
        say("taskprof: %s\n", taskprof_start_error());
        return;
    }
    arm();
    if (*taskprof_address())
        say("taskprof: http://%s/debug/pprof/\n", taskprof_address());
}
