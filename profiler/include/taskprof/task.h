// Tasks: the units of concurrency, OS threads and coroutines.
//
// Threads need nothing: a thread is registered at its first park and leaves when it ends, and a
// thread that never calls taskprof is found in /proc. What this file adds is names, who created
// whom and where, and coroutines.

#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) // exported from the library, which hides all else

// A registered task. Valid until the thread has ended, or until taskprof_coroutine_end.
typedef struct taskprof_task taskprof_task;

// A name's bytes, its NUL among them: as many as a thread's name has in Linux. Longer ones are cut.
#define TASKPROF_NAME_SIZE 16

// Registers the calling thread now, under this name (NULL keeps the thread's own name).
// 0, or -ENOMEM. Calling it again changes the name.
int taskprof_task_begin(const char *name);

// The calling task: the coroutine that taskprof_task_switch last announced on this thread, else the
// thread itself, registered if it was not. NULL when out of memory.
taskprof_task *taskprof_task_self(void);

// The task's id, from 1, never used twice in a process. 0 for NULL.
uint64_t taskprof_task_id(const taskprof_task *task);

// Sets a task's name; call it from that task, or before it runs. 0, or -EINVAL for NULL.
int taskprof_task_set_name(taskprof_task *task, const char *name);

// pthread_create, and besides: the new thread is registered from its start, with the calling task
// as its creator and the caller's stack as its creation stack. Results as pthread_create's: 0 or a
// *positive* error number, so that it can stand in its place.
int taskprof_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*start)(void *), void *argument);

// How a coroutine runtime lets taskprof's own channels block a coroutine rather than its thread.
// Both are called with no lock of taskprof's held.
struct taskprof_scheduler {
    // Suspends the calling coroutine (whose `context` this is) until `wake` is called for it, or
    // until timeout_ns from now (negative: for ever). A wake that came first makes it return at
    // once; a spurious return is allowed. Returns 0, or a negative errno if it can't suspend.
    int (*park)(void *context, int64_t timeout_ns);
    // Makes a coroutine's park return. Called from any thread that uses the channel: a runtime
    // whose coroutines share channels with other threads must take care of that itself.
    void (*wake)(void *context);
};

struct taskprof_coroutine {
    size_t size;           // sizeof(struct taskprof_coroutine): lets later versions add fields
    const char *name;      // cut to TASKPROF_NAME_SIZE - 1; NULL for none
    const void *stack_low; // the coroutine's stack: lowest address …
    size_t stack_size;     // … and bytes. Readable until taskprof_coroutine_end returns.
    const struct taskprof_scheduler *scheduler; // NULL: its channel waits block the thread
    void *context;                              // handed to the scheduler's functions
};

// Registers a coroutine, with the calling task as its creator and the caller's stack as its
// creation stack. Call it before the coroutine runs, or first thing in it (the creation stack is
// then the coroutine's own start). *ret_task is written on success only. 0; -EINVAL: a NULL or
// empty stack, or a size that is not the struct's; -ENOMEM.
int taskprof_coroutine_begin(const struct taskprof_coroutine *coroutine, taskprof_task **ret_task);

// The coroutine is over: its stack may be freed or used again when this returns. It waits for a
// snapshot that is just now reading that stack (microseconds; some milliseconds where its code is
// met for the first time). NULL is ignored. -EINVAL when the task is a thread, or has ended already
// and its slot was not used again since: a handle is not valid after this, like a freed pointer.
// Else 0.
int taskprof_coroutine_end(taskprof_task *task);

// This thread runs `task` from now on; NULL: the thread itself again. A runtime that calls this at
// each switch makes taskprof_park and the channels work inside its coroutines without handles.
void taskprof_task_switch(taskprof_task *task);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
