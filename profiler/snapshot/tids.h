// The process's threads, as /proc/self/task lists them.

#pragma once

#include "profiler/base/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Zeroed at first; one owner at a time. Its memory is kept from one listing to the next.
struct tids {
    pid_t *list;
    size_t count;
    size_t capacity;
    bool are_ours;    // this process's, as it counts them itself; false: `list` is empty
    struct table set; // of `list`, made by the first tids_have
};

// Opens /proc/self/task and lists it anew. `self` is the calling thread. *ret_directory is for the
// calls of proc_thread.h and to be closed by the caller; or a negative errno, and nothing is
// listed: -ESRCH where /proc speaks of threads by other numbers than their own. false: out of
// memory, likewise.
bool tids_open(struct tids *tids, pid_t self, int *ret_directory);

// Whether a thread is listed. Out of memory, no.
bool tids_have(struct tids *tids, pid_t tid);
