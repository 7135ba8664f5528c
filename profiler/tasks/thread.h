// Threads as tasks: registration, and what a fork leaves of them.

#pragma once

#include "profiler/tasks/task.h"

// Registers the calling thread; its task, or NULL when out of memory. Keeps errno.
struct taskprof_task *thread_register(enum task_kind kind, const char *name);

// Whether this is the process that the library was loaded into, or a child that libc's fork made of
// it. Not so after a bare clone system call: threads' tids on record are then the parent's.
bool thread_process_is_known(void);

// Whether the thread that this process was forked by may have had this tid in the parent. libc's
// locks that it held then still say so.
bool thread_may_have_been(pid_t tid);
