#include "profiler/tasks/stack_bounds.h"

#include "profiler/base/safe_read.h"
#include "profiler/base/spare.h"

#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

// The thread pointer of the process's first thread; 0: that has not registered yet. Relaxed: other
// threads see 0 or that, and both are unlike their own. A fork keeps it: the child of another
// thread has that one's stack, though its tid is the process's.
static _Atomic uintptr_t first_thread;

static uintptr_t first_high(void)
{
    // The kernel put the program's name at the very top of the stack that it made.
    return getauxval(AT_EXECFN);
}

uintptr_t stack_bounds_thread_high(void)
{
    // Where glibc puts a thread's descriptor: at the top of its stack, be it glibc's or one that
    // the application gave. The first thread's is elsewhere.
    uintptr_t self = (uintptr_t)__builtin_thread_pointer();
    uintptr_t first = atomic_load_explicit(&first_thread, memory_order_relaxed);
    if (!first && gettid() == getpid()) {
        atomic_store_explicit(&first_thread, self, memory_order_relaxed);
        first = self;
    }
    return self == first ? first_high() : self;
}

// Pages that are asked about with one system call, and how often, at the most: a stack may lie at
// the top of a terabyte that an application has reserved.
enum { PAGE = SPARE_PAGE, STEP = 16, STEPS_MOST = 4096 };

enum pages { PAGES_THERE, PAGES_GONE, PAGES_NOT_TOLD };

// Whether the first thread's stack has all these pages. Below it nothing is mapped, and the kernel
// keeps it so: a guard of unreadable pages, as other threads have, need not be told apart. To read
// there would make some kernels grow the stack, and others warn.
static enum pages are_mapped(uintptr_t page, unsigned count)
{
    unsigned char pages[STEP];
    int saved = errno;
    enum pages result = PAGES_THERE;
    if (syscall(SYS_mincore, page, (size_t)count * PAGE, pages) != 0)
        result = errno == ENOMEM ? PAGES_GONE : PAGES_NOT_TOLD;
    errno = saved;
    return result;
}

// Whether all these pages can be read.
static enum pages are_readable(uintptr_t page, unsigned count)
{
    char byte;
    struct safe_read_part parts[STEP] = {0};
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct safe_read_part){page + (size_t)i * PAGE, &byte, 1};
    ssize_t got = safe_read_parts(parts, count);
    if (got >= 0 || got == -EFAULT)
        return got == (ssize_t)count ? PAGES_THERE : PAGES_GONE;
    // By other means, one by one.
    for (unsigned i = 0; i < count; i++) {
        got = safe_read(parts[i].address, &byte, 1);
        if (got != 1)
            return got == -EFAULT ? PAGES_GONE : PAGES_NOT_TOLD;
    }
    return PAGES_THERE;
}

// Not by pthread_getattr_np, which calls malloc: who parks may be within it. And not from
// /proc/self/maps, which takes milliseconds to read in a process of thousands of threads.
static struct stack_bounds own_bounds(struct taskprof_task *task, uintptr_t sp)
{
    struct stack_bounds own = {.high = task->stack_high};
    if (task_kind(task) == TASK_COROUTINE) {
        own.low = own.high - task_stack_size(task);
        return own;
    }
    bool first = own.high == first_high();
    // Relaxed: the owner and a collector that has pinned the task may both ask, and either's answer
    // is good.
    own.low = atomic_load_explicit(&task->thread.stack_low, memory_order_relaxed);
    if (!own.low)
        own.low = (own.high + PAGE - 1) & -(uintptr_t)PAGE;
    for (unsigned step = 0; sp < own.low && sp < own.high && step < STEPS_MOST; step++) {
        uintptr_t left = (own.low - 1) / PAGE - sp / PAGE + 1;
        unsigned count = left < STEP ? (unsigned)left : STEP;
        uintptr_t next = own.low - (size_t)count * PAGE;
        enum pages pages = first ? are_mapped(next, count) : are_readable(next, count);
        if (pages == PAGES_GONE)
            break;
        // Page 0 is nobody's, so this is no address that was looked at.
        own.low = pages == PAGES_THERE ? next : 1;
    }
    atomic_store_explicit(&task->thread.stack_low, own.low, memory_order_relaxed);
    return own;
}

// The stack that the calling thread would handle a signal on, or handles one on. Asked each time:
// it changes. Empty: there is none, or one that the kernel puts out of force while it is in use
// (SS_AUTODISARM).
static struct stack_bounds alternate_bounds(void)
{
    struct stack_bounds bounds = {0};
    stack_t now;
    int saved = errno;
    if (syscall(SYS_sigaltstack, NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE)) {
        bounds.low = (uintptr_t)now.ss_sp;
        bounds.high = bounds.low + now.ss_size;
    }
    errno = saved;
    return bounds;
}

bool stack_bounds_look(struct taskprof_task *task, uintptr_t frame, uintptr_t sp, bool here)
{
    struct stack_bounds own = {0};
    struct stack_bounds alternate = {0};
    if (here)
        alternate = alternate_bounds();
    // On the alternate stack the own one's bounds are not asked for.
    if (!stack_bounds_hold(alternate, sp))
        own = own_bounds(task, sp);
    return stack_bounds_keep(own, alternate, frame, sp);
}
