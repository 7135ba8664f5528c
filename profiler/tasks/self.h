// What a thread knows of itself.

#pragma once

#include "profiler/tasks/task.h"

// Initial-exec: reached without a call, and never allocated lazily.
struct thread_self {
    struct taskprof_task *current; // what runs here: a coroutine, or the thread; NULL: unregistered
    struct taskprof_task *thread;  // the thread's own slot
};
extern __thread struct thread_self thread_self __attribute__((tls_model("initial-exec")));
