#include "profiler/tasks/fork.h"

#include "profiler/base/epoch.h"
#include "profiler/base/spare.h"
#include "profiler/unwind/unwind.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

typedef void (*hook_function)(void);

static _Atomic(hook_function) hooks[FORK_HOOKS];
static hook_function keep_tasks; // written once, before the first fork is watched

void fork_child_hook(void (*hook)(void))
{
    for (size_t i = 0; i < FORK_HOOKS; i++) {
        hook_function expected = NULL;
        // Relaxed: a fork sees what the forking thread saw.
        if (atomic_compare_exchange_strong_explicit(&hooks[i], &expected, hook,
                                                    memory_order_relaxed, memory_order_relaxed) ||
            expected == hook)
            return;
    }
}

static void in_child(void)
{
    spare_after_fork();
    epoch_after_fork();
    // First of the others: creation stacks are taken under its locks, with a snapshot or without.
    unwind_after_fork();
    keep_tasks();
    for (size_t i = 0; i < FORK_HOOKS; i++) {
        hook_function hook = atomic_load_explicit(&hooks[i], memory_order_relaxed);
        if (hook)
            hook();
    }
}

void fork_watch(void (*tasks_after_fork)(void))
{
    keep_tasks = tasks_after_fork;
    // No prepare handler: a fork of the application must never wait for a snapshot. The child
    // repairs what a snapshot under way left behind.
    pthread_atfork(NULL, NULL, in_child);
}
