#include "profiler/snapshot/tids.h"

#include "profiler/base/memory.h"
#include "profiler/base/own_fd.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/tasks/thread.h"

#include <errno.h>

enum { FIRST_TIDS = 256 };

// Whether /proc speaks of this process's threads by the numbers that they have themselves. It does
// not where it is another PID namespace's, nor of the child of a fork that libc knew nothing of.
static bool are_ours(const struct tids *tids, pid_t self)
{
    if (!thread_process_is_known())
        return false;
    for (size_t i = 0; i < tids->count; i++)
        if (tids->list[i] == self)
            return true;
    return false;
}

// false: out of memory.
static bool list(struct tids *tids, int directory)
{
    tids->count = 0;
    for (;;) {
        ssize_t count = proc_threads_list(directory, tids->list, tids->capacity);
        if (count < 0)
            return true;
        if ((size_t)count <= tids->capacity) {
            tids->count = (size_t)count;
            return true;
        }
        // Not array_grow: nothing of what is there is wanted.
        size_t capacity = (size_t)count * 2 > FIRST_TIDS ? (size_t)count * 2 : FIRST_TIDS;
        memory_unmap(tids->list, tids->capacity * sizeof(pid_t));
        tids->list = memory_map(capacity * sizeof(pid_t));
        tids->capacity = tids->list ? capacity : 0;
        if (!tids->list)
            return false;
    }
}

bool tids_open(struct tids *tids, pid_t self, int *ret_directory)
{
    table_clear(&tids->set);
    tids->count = 0;
    int directory = proc_threads_open();
    bool enough = directory < 0 || list(tids, directory);
    tids->are_ours = are_ours(tids, self);
    if (directory >= 0 && !tids->are_ours) {
        own_fd_close(directory);
        directory = -ESRCH;
        tids->count = 0;
    }
    *ret_directory = directory;
    return enough;
}

bool tids_have(struct tids *tids, pid_t tid)
{
    bool empty = tids->set.count == 0;
    for (size_t i = 0; empty && i < tids->count; i++)
        if (!table_put(&tids->set, (uint64_t)tids->list[i], 0))
            break;
    return table_get(&tids->set, (uint64_t)tid) != TABLE_NONE;
}
