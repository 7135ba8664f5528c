#include "fiber.h"

#include <errno.h>
#include <st.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum { STACK_SIZE = 64 * 1024 };

struct fiber {
    void *(*start)(void *);
    void *argument;
    const void *frame;   // of fiber_main, once that has started
    bool registered;     // whoever creates the fiber has registered it, or failed to
    taskprof_task *task; // NULL when taskprof had no memory for it: the fiber runs unseen
    st_cond_t woken;     // signalled at each change of the above, and when `wake` was called
    bool wake_pending;   // … before the fiber came to wait for it
};

// Where each fiber finds its own struct.
static int fiber_key;

static struct fiber *fiber_self(void)
{
    return st_thread_getspecific(fiber_key);
}

// taskprof's channels call these two instead of blocking the thread. One thread runs all fibers and
// a fiber is never interrupted, so no lock is needed; a runtime on several threads would need one.

static int scheduler_park(void *context, int64_t timeout_ns)
{
    struct fiber *fiber = context;
    if (!fiber->wake_pending) {
        st_utime_t timeout =
            timeout_ns < 0 ? ST_UTIME_NO_TIMEOUT : (st_utime_t)(timeout_ns / 1000 + 1);
        st_cond_timedwait(fiber->woken, timeout); // however it ends: spurious returns are allowed
    }
    fiber->wake_pending = false;
    return 0;
}

static void scheduler_wake(void *context)
{
    struct fiber *fiber = context;
    fiber->wake_pending = true;
    st_cond_signal(fiber->woken);
}

static const struct taskprof_scheduler scheduler = {scheduler_park, scheduler_wake};

// State Threads calls these when a fiber is resumed and when it stops running. Between the two the
// thread is that fiber to taskprof, else it is itself.

static void switched_in(void)
{
    struct fiber *fiber = fiber_self();
    taskprof_task_switch(fiber ? fiber->task : NULL);
}

static void switched_out(void)
{
    taskprof_task_switch(NULL);
}

// State Threads does not tell a fiber's stack bounds, but they follow from what it promises: the
// stack is of whole pages, STACK_SIZE bytes of it may be used, and `frame` is that of its
// first function, a few hundred bytes below the top. So the top is the end of that page. The page
// is mapped, whatever the library does above it, because `frame` lies in it; were the true top
// higher, a few words at the far end of a stack would be missed, and nothing unmapped be read.
//
// So a fiber has to run before its bounds are known. But whoever creates it registers it: only so
// do profiles show who created it and where.
static void fiber_register(struct fiber *fiber)
{
    while (!fiber->frame)
        st_cond_wait(fiber->woken);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t top = ((uintptr_t)fiber->frame / page + 1) * page;
    const struct taskprof_coroutine description = {
        .size = sizeof(description),
        .stack_low = (const void *)(top - STACK_SIZE),
        .stack_size = STACK_SIZE,
        .scheduler = &scheduler,
        .context = fiber,
    };
    taskprof_coroutine_begin(&description, &fiber->task);
    fiber->registered = true;
    st_cond_signal(fiber->woken);
}

// A fiber's first function has no caller that could ever be returned to: State Threads jumped here.
// Saying so, as the C library does for a thread's first function, makes its stacks end cleanly.
#if defined(__x86_64__)
#define NO_CALLER() __asm__ volatile(".cfi_undefined rip")
#elif defined(__aarch64__)
#define NO_CALLER() __asm__ volatile(".cfi_undefined x30")
#else
#define NO_CALLER() ((void)0)
#endif

static void *fiber_main(void *argument)
{
    NO_CALLER();
    struct fiber *fiber = argument;
    st_thread_setspecific(fiber_key, fiber);
    fiber->frame = __builtin_frame_address(0);
    st_cond_signal(fiber->woken);
    while (!fiber->registered)
        st_cond_wait(fiber->woken); // comes back through switched_in, with the task known
    fiber->start(fiber->argument);
    switched_out();
    st_thread_setspecific(fiber_key, NULL);
    // Before the stack goes back to State Threads: a snapshot might be reading it.
    taskprof_coroutine_end(fiber->task);
    st_cond_destroy(fiber->woken);
    free(fiber);
    return NULL;
}

static st_thread_t fiber_create(void *(*start)(void *), void *argument, bool joinable)
{
    struct fiber *fiber = calloc(1, sizeof(*fiber));
    if (!fiber)
        return NULL;
    fiber->start = start;
    fiber->argument = argument;
    fiber->woken = st_cond_new();
    st_thread_t thread =
        fiber->woken ? st_thread_create(fiber_main, fiber, joinable, STACK_SIZE) : NULL;
    if (!thread) {
        if (fiber->woken)
            st_cond_destroy(fiber->woken);
        free(fiber);
        return NULL;
    }
    fiber_register(fiber);
    return thread;
}

int fibers_init(void)
{
    st_set_eventsys(ST_EVENTSYS_ALT); // epoll; the default, select, knows 1,024 descriptors
    if (st_init() < 0 || st_key_create(&fiber_key, NULL) < 0)
        return -errno;
    st_set_switch_in_cb(switched_in);
    st_set_switch_out_cb(switched_out);
    return 0;
}

int fiber_spawn(void *(*start)(void *), void *argument)
{
    return fiber_create(start, argument, false) ? 0 : -ENOMEM;
}

int fiber_run(void *(*start)(void *), void *argument)
{
    st_thread_t thread = fiber_create(start, argument, true);
    if (!thread)
        return -ENOMEM;
    taskprof_park(TASKPROF_JOIN, thread);
    st_thread_join(thread, NULL);
    taskprof_unpark();
    return 0;
}
