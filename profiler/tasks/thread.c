// Threads: the slot of the calling thread, its way in and out, and threads created through us.

#include "profiler/tasks/thread.h"

#include "profiler/arch/capture.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/self.h"
#include "profiler/tasks/stack_bounds.h"

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

// Its destructor takes a thread's task out of the registry. Made in a constructor: early keys have
// their place in the thread's own descriptor, so that setting one allocates nothing.
static pthread_key_t exit_key;
static bool have_exit_key;

static _Atomic pid_t process;

bool thread_process_is_known(void)
{
    return atomic_load_explicit(&process, memory_order_relaxed) == getpid();
}

// The tids that this process's first thread had before each fork. Written while there is one
// thread.
enum { FORKS_KNOWN = 16 };
static pid_t earlier_tids[FORKS_KNOWN];
static unsigned earlier_count;
static bool earlier_not_known; // of one fork at least

bool thread_may_have_been(pid_t tid)
{
    for (unsigned i = 0; i < earlier_count; i++)
        if (earlier_tids[i] == tid)
            return true;
    return earlier_not_known || !thread_process_is_known();
}

static void thread_exits(void *task)
{
    // A destructor of the application that runs after this one and parks registers anew; glibc
    // then calls this once more. So does a signal's handler; its task is not to end this one.
    thread_self.thread = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    thread_self.current = NULL;
    task_end(task);
    epoch_thread_ends();
}

// The calling thread takes `task` for its own. A signal's handler that parks may have come first,
// and registered the thread: it is one task all the same.
static void adopt(struct taskprof_task *task)
{
    atomic_store_explicit(&task->tid_or_units, (uint32_t)gettid(), memory_order_relaxed);
    task->stack_high = stack_bounds_thread_high();
    atomic_store_explicit(&task->thread.stack_low, 0, memory_order_relaxed);
    thread_self.current = task;
    // A handler that comes later registers nothing. So what one registered is known from here on.
    atomic_signal_fence(memory_order_seq_cst);
    struct taskprof_task *before = thread_self.thread;
    thread_self.thread = task;
    if (have_exit_key)
        pthread_setspecific(exit_key, task);
    task_live(task);
    if (before)
        task_end(before);
}

struct taskprof_task *thread_register(enum task_kind kind, const char *name)
{
    int saved = errno;
    struct taskprof_task *task = task_new(kind, name, 0);
    if (task)
        adopt(task);
    errno = saved;
    return task;
}

// In the child of a fork: the other threads' tasks are gone, this one's goes on with its new tid.
static void after_fork(void)
{
    task_unwatch(); // the collector is not here
    atomic_store_explicit(&process, getpid(), memory_order_relaxed);
    struct taskprof_task *mine = thread_self.thread;
    if (mine && earlier_count < FORKS_KNOWN)
        earlier_tids[earlier_count++] = task_tid(mine);
    else
        earlier_not_known = true;
    uint32_t high = slab_high(&task_slab);
    for (uint32_t i = 0; i < high; i++) {
        struct taskprof_task *task = slab_at(&task_slab, i);
        // The collector that held pins is not here; the check keeps untouched pages shared.
        if (atomic_load_explicit(&task->pins, memory_order_relaxed))
            atomic_store_explicit(&task->pins, 0, memory_order_relaxed);
        uint8_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
        if (state == TASK_FREE || task == mine || task_kind(task) == TASK_COROUTINE)
            continue;
        if (state == TASK_ENDING) // its own thread was just ending it
            atomic_store_explicit(&task->state, TASK_LIVE, memory_order_relaxed);
        task_end(task);
    }
    if (mine)
        atomic_store_explicit(&mine->tid_or_units, (uint32_t)gettid(), memory_order_relaxed);
}

// The main thread is task 1, as Go's is goroutine 1; unless the library came by dlopen.
__attribute__((constructor)) static void set_up(void)
{
    atomic_store_explicit(&process, getpid(), memory_order_relaxed);
    fork_watch(after_fork);
    have_exit_key = pthread_key_create(&exit_key, thread_exits) == 0;
    if (gettid() == getpid())
        thread_register(TASK_THREAD, NULL);
}

struct taskprof_task *task_current(void)
{
    struct taskprof_task *task = thread_self.current;
    return task ? task : thread_register(TASK_THREAD, NULL);
}

void task_mark_own(const char *name)
{
    // Cut to what the kernel takes; it fails in no other way.
    prctl(PR_SET_NAME, name);
    struct taskprof_task *task = thread_self.thread;
    if (!task) {
        thread_register(TASK_OWN, name);
        return;
    }
    unsigned both = atomic_load_explicit(&task->kind_and_depth, memory_order_relaxed);
    both = both / TASK_DEPTH * TASK_DEPTH + TASK_OWN;
    atomic_store_explicit(&task->kind_and_depth, (uint16_t)both, memory_order_relaxed);
}

taskprof_task *taskprof_task_self(void)
{
    return task_current();
}

uint64_t taskprof_task_id(const taskprof_task *task)
{
    return task ? atomic_load_explicit(&task->id, memory_order_relaxed) : 0;
}

int taskprof_task_set_name(taskprof_task *task, const char *name)
{
    if (!task)
        return -EINVAL;
    task_set_name(task, name);
    return 0;
}

int taskprof_task_begin(const char *name)
{
    struct taskprof_task *task = task_current();
    if (!task)
        return -ENOMEM;
    if (name)
        task_set_name(task, name);
    return 0;
}

static void *thread_start(void *argument)
{
    struct taskprof_task *task = argument;
    void *(*start)(void *) = task->thread.start;
    void *start_argument = task->thread.argument;
    adopt(task);
    return start(start_argument);
}

int taskprof_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*start)(void *), void *argument)
{
    int saved = errno;
    task_current(); // so that the new thread has a creator
    struct arch_regs regs;
    arch_capture(&regs);
    uint64_t section;
    stack_id creation = task_stack_here(&regs, &section);
    struct taskprof_task *task = task_new(TASK_THREAD, NULL, creation);
    epoch_leave(section);
    errno = saved;
    if (!task)
        return pthread_create(thread, attributes, start, argument);
    // The slot itself carries these over: nothing to allocate, nothing to free.
    task->thread.start = start;
    task->thread.argument = argument;
    int error = pthread_create(thread, attributes, thread_start, task);
    if (error)
        task_end(task);
    return error;
}
