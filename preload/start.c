// The start, before main: the endpoint, and the wrappers' permission to park.

#include "preload/announce.h"
#include "preload/environment.h"
#include "preload/family.h"
#include "preload/wrap.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <taskprof/taskprof.h>

struct wrap_library wrap_library = {.low = 0, .size = UINTPTR_MAX};

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

// The address of TASKPROF_HTTP with a port that is free: of a child whose parent has the other.
static void free_port(const char *where, char *into, size_t size)
{
    const char *colon = strrchr(where, ':');
    if (strcasecmp(where, "off") == 0)
        snprintf(into, size, "off");
    else
        snprintf(into, size, "%.*s:0", (int)(colon ? colon - where : 0), where);
}

__attribute__((constructor)) static void start(void)
{
    real_resolve();
    const char *where = secure_getenv("TASKPROF_HTTP");
    if (!where || !*where)
        return;
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    char address[128];
    bool children = environment_children();
    if (children && environment_is_child()) {
        free_port(where, address, sizeof(address));
        options.http = address;
    }
    environment_take();
    if (taskprof_start(&options) < 0) {
        announce_failure();
        return;
    }
    family_begin(taskprof_address(), children);
    arm();
    announce_address();
}
