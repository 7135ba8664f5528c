#include "profiler/snapshot/ask_signal.h"

#include "profiler/arch/interrupted.h"
#include "profiler/base/clock.h"
#include "profiler/base/lock.h"
#include "profiler/base/memory.h"

#include <errno.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

// The kernel's own sigaction. libc's is not called: sanitizers and preloaded libraries put their
// own in its place, which hold signals back until their stack is a different one.
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

enum {
    SIGNAL_LAST = 64,
    SIGNAL_FIRST = 35, // libc keeps 32 and 33; 34 is what applications take first
    POLL_NS = 500000,
};

// What an answer's `state` says below the number of the asking that it belongs to.
enum { IDLE, ASKED, ANSWERING, ANSWERED, STATES };

struct answer {
    // The collector makes it ASKED; the thread's handler ANSWERING, then ANSWERED (release; pairs
    // with the acquire in ask_take). Only one of handler and collector gets it out of ASKED.
    _Atomic uint64_t state;
    int timer_and_1; // the kernel's number of it; 0: none, as in fresh memory
    size_t length;
    struct arch_regs regs;
    _Alignas(16) char copy[ASK_STACK];
};

// Mapped at the first asking, never unmapped: a handler may come late.
static _Atomic(struct answer *) answers;
static uint64_t asking; // number of it
static int our_signal;

// ---- on the asked thread ----

// Async-signal-safe, and without what sanitizers put into functions: a signal may come at any
// instruction of theirs. The answer's index and the number of the asking come with the timer.
__attribute__((no_sanitize("address", "thread", "undefined"))) static void
answer(int number, siginfo_t *info, void *context)
{
    (void)number;
    struct answer *all = atomic_load_explicit(&answers, memory_order_acquire);
    uint64_t cookie = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
    if (info->si_code != SI_TIMER || !all)
        return;
    struct answer *mine = &all[cookie % ASK_THREADS];
    uint64_t state = cookie / ASK_THREADS * STATES + ASKED;
    // A signal of an asking that is over finds another state.
    if (!atomic_compare_exchange_strong_explicit(&mine->state, &state, state - ASKED + ANSWERING,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    int saved = errno;
    arch_interrupted(context, &mine->regs);
    // By the kernel: the stack may end before the copy does.
    struct iovec local = {.iov_base = mine->copy, .iov_len = ASK_STACK};
    struct iovec remote = {.iov_base = (void *)mine->regs.sp, .iov_len = ASK_STACK};
    long got = syscall(SYS_process_vm_readv, (long)gettid(), &local, 1L, &remote, 1L, 0L);
    mine->length = got > 0 ? (size_t)got : 0;
    errno = saved;
    atomic_store_explicit(&mine->state, state - ASKED + ANSWERED, memory_order_release);
}

// ---- on the collector's ----

int ask_supported(void)
{
    struct utsname name;
    if (uname(&name) < 0)
        return -ENOSYS;
    char *end;
    unsigned long major = strtoul(name.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return major > 6 || (major == 6 && minor >= 1) ? 0 : -ENOSYS;
}

static int signal_action(int number, const struct kernel_action *action, struct kernel_action *old)
{
    return syscall(SYS_rt_sigaction, number, action, old, sizeof(action->mask)) == 0 ? 0 : -errno;
}

static bool is_ours(int number)
{
    struct kernel_action now;
    return number && signal_action(number, NULL, &now) == 0 && now.handler == answer;
}

static bool is_free(int number)
{
    struct kernel_action now;
    return signal_action(number, NULL, &now) == 0 && !now.handler;
}

// Takes a signal that nobody has a handler for. It stays ours: were it given back, a late one would
// kill the process.
static bool take_signal(int number)
{
    struct kernel_action old;
    struct kernel_action action = {
        .handler = answer,
        .flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | ARCH_SA_RESTORER,
        .restorer = ARCH_SA_RESTORER ? arch_signal_return : NULL,
        .mask = UINT64_MAX, // the kernel leaves SIGKILL and SIGSTOP out
    };
    if (!is_free(number) || signal_action(number, &action, &old) < 0)
        return false;
    if (!old.handler) {
        our_signal = number;
        return true;
    }
    signal_action(number, &old, NULL); // the application was faster
    return false;
}

static int choose_signal(uint64_t blocked)
{
    if (is_ours(our_signal) && !(blocked >> (our_signal - 1) & 1))
        return our_signal;
    for (int number = SIGNAL_LAST; number >= SIGNAL_FIRST; number--)
        if (!(blocked >> (number - 1) & 1) && (is_ours(number) || take_signal(number)))
            return our_signal = number;
    for (int number = SIGNAL_LAST; number >= SIGNAL_FIRST; number--)
        if (is_ours(number) || take_signal(number))
            return our_signal = number;
    return -EBUSY;
}

int ask_begin(uint64_t blocked)
{
    if (!atomic_load_explicit(&answers, memory_order_relaxed)) {
        struct answer *all = memory_map(ASK_THREADS * sizeof(*all));
        if (!all)
            return -ENOMEM;
        atomic_store_explicit(&answers, all, memory_order_release);
    }
    asking++;
    return choose_signal(blocked);
}

// CLOCK_THREAD_CPUTIME_ID of another thread: the kernel's MAKE_THREAD_CPUCLOCK.
static long clock_of(pid_t tid)
{
    enum { PER_THREAD = 4, SCHEDULER_CLOCK = 2 };
    return (long)(int)(~(unsigned)tid << 3 | PER_THREAD | SCHEDULER_CLOCK);
}

int ask_thread(size_t index, pid_t tid)
{
    struct answer *one = atomic_load_explicit(&answers, memory_order_relaxed) + index;
    uint64_t state = atomic_load_explicit(&one->state, memory_order_acquire);
    one->timer_and_1 = 0;
    if (state % STATES == ANSWERING)
        return -EBUSY; // a thread that never got further than that
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = our_signal};
    event.sigev_value.sival_ptr = (void *)(uintptr_t)(asking * ASK_THREADS + index);
    event._sigev_un._tid = tid;
    int timer;
    if (syscall(SYS_timer_create, clock_of(tid), &event, &timer) < 0)
        return -errno;
    one->timer_and_1 = timer + 1;
    // Release: pairs with nothing but itself; the handler comes through the kernel.
    atomic_store_explicit(&one->state, asking * STATES + ASKED, memory_order_release);
    // From now on, never absolute: a time that is already over fires at once, wherever the thread
    // is.
    struct {
        struct __kernel_timespec interval, value;
    } due = {.value = {.tv_nsec = 1}};
    if (syscall(SYS_timer_settime, timer, 0, &due, NULL) == 0)
        return 0;
    int error = -errno; // it has ended
    syscall(SYS_timer_delete, timer);
    one->timer_and_1 = 0;
    return error;
}

static size_t answered(size_t count)
{
    struct answer *all = atomic_load_explicit(&answers, memory_order_relaxed);
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done +=
            atomic_load_explicit(&all[i].state, memory_order_relaxed) == asking * STATES + ANSWERED;
    return done;
}

static void pause_for(int64_t ns)
{
    _Atomic uint32_t nothing = 0;
    futex_wait(&nothing, 0, ns);
}

void ask_wait(size_t count, size_t asked, int64_t timeout_ns)
{
    uint64_t deadline = clock_monotonic_ns() + (uint64_t)timeout_ns;
    while (answered(count) < asked && clock_monotonic_ns() < deadline)
        pause_for(POLL_NS);
}

bool ask_take(size_t index, struct ask_answer *ret)
{
    enum { PATIENCE = 200 }; // pauses: a handler is microseconds long, once it has a processor
    struct answer *one = atomic_load_explicit(&answers, memory_order_relaxed) + index;
    uint64_t asked = asking * STATES + ASKED;
    if (one->timer_and_1)
        syscall(SYS_timer_delete, one->timer_and_1 - 1);
    one->timer_and_1 = 0;
    // Withdrawn: a signal that is on its way finds IDLE.
    atomic_compare_exchange_strong_explicit(&one->state, &asked, asking * STATES + IDLE,
                                            memory_order_relaxed, memory_order_relaxed);
    uint64_t state = 0;
    for (int i = 0; i < PATIENCE; i++) {
        state = atomic_load_explicit(&one->state, memory_order_acquire);
        if (state != asking * STATES + ANSWERING)
            break;
        pause_for(POLL_NS);
    }
    if (state != asking * STATES + ANSWERED)
        return false;
    *ret = (struct ask_answer){.regs = one->regs, .length = one->length, .copy = one->copy};
    return one->length > 0;
}

void ask_end(size_t count)
{
    struct answer *all = atomic_load_explicit(&answers, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        if (atomic_load_explicit(&all[i].state, memory_order_relaxed) % STATES == ANSWERING)
            return; // whoever writes there may go on
    // Zeroed pages: IDLE, of asking 0, which no handler waits for.
    madvise(all, count * sizeof(*all), MADV_DONTNEED);
}
