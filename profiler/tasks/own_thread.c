#include "profiler/tasks/own_thread.h"

#include "profiler/base/lock.h"
#include "profiler/tasks/task.h"

#include <signal.h>
#include <stdatomic.h>

enum { STACK_BYTES = 2 << 20 };

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
