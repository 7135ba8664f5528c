#include "profiler/tasks/own_thread.h"

#include "profiler/base/lock.h"
#include "profiler/tasks/task.h"
#include "profiler/unwind/unwind.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 2 << 20, SLICE_NS = 100000, RESET_ON_FORK = 1 };

// As sched_setattr(2) has it. The kernel's own header clashes with <sched.h>, which has it in some
// versions only.
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

struct start {
    void *(*run)(void *);
    void *argument;
    const char *name;
    _Atomic uint32_t marked; // a futex; 1: the creator may go on, and this struct is gone
};

static void *begin(void *argument)
{
    struct start *start = argument;
    void *(*run)(void *) = start->run;
    void *run_argument = start->argument;
    task_mark_own(start->name);
    unwind_own_stack((uintptr_t)__builtin_frame_address(0) - STACK_BYTES / 2);
    // Release: pairs with the creator's acquire. The address alone is used after this: a wake of a
    // futex that is not there any more wakes nobody.
    atomic_store_explicit(&start->marked, 1, memory_order_release);
    futex_wake(&start->marked, 1);
    return run(run_argument);
}

int own_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *argument)
{
    struct start start = {.run = run, .argument = argument, .name = name};
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    // A thread starts with its creator's mask. Blocked means that they go to the application's
    // threads, as if this one were not there; SIGPIPE among them.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, begin, &start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error)
        return -error;
    while (!atomic_load_explicit(&start.marked, memory_order_acquire))
        futex_wait(&start.marked, 0, -1);
    *ret_thread = thread;
    return 0;
}

// SCHED_BATCH and not SCHED_IDLE: nobody may leave that one without a privilege, and on a machine
// that is never idle it would keep waiting who asked for an answer. The slice is one for such a
// thread since Linux 6.12, and ignored before. Straight to the kernel: glibc has no function for
// it.
void own_thread_be_modest(void)
{
    struct attributes attributes;
    int saved = errno;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) == 0 &&
        attributes.policy != SCHED_IDLE) {
        attributes.size = sizeof(attributes);
        attributes.policy = SCHED_BATCH;
        attributes.priority = 0;
        attributes.flags &= RESET_ON_FORK;
        attributes.runtime = SLICE_NS;
        syscall(SYS_sched_setattr, 0, &attributes, 0);
    }
    errno = saved;
}
