// Asks running threads where they are, by signal, without ever ending a system call of theirs.
//
// A signal that is sent (tgkill) may find its thread blocked after all: it blocked after we looked.
// poll, epoll_wait and nanosleep then fail with EINTR. So nothing is sent. Each thread gets a timer
// on its own processor time, which is due after a nanosecond of it. Time that a blocked thread does
// not spend; the timer is looked at by the clock tick that finds the thread on a processor, and
// (CONFIG_POSIX_CPU_TIMERS_TASK_WORK, always there on x86-64 and aarch64 since long before Linux
// 6.1) acts no sooner than on the thread's way back to user space. A system call that was under way
// at the tick goes to its own end first, sleeps included, and has its result before the signal
// comes into being. On older kernels the tick itself sends: nothing is asked there.
//
// One asker at a time: the collector, under its lock.

#pragma once

#include "profiler/arch/regs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    ASK_THREADS = 1024,    // at once, at most
    ASK_STACK = 32 * 1024, // bytes of a stack's top, at most
};

// What a thread answered.
struct ask_answer {
    struct arch_regs regs;
    size_t length;    // of the copy
    const void *copy; // from regs.sp up; valid until the next ask_begin
};

// Whether this kernel's signals can be trusted as above. 0 or -ENOSYS.
int ask_supported(void);

// Gets ready. `blocked`: signals that some of the threads to be asked have blocked (bit N - 1 for
// signal N), which are not used if there is another one. The signal's number; -EBUSY: the
// application uses all of them; -ENOMEM.
int ask_begin(uint64_t blocked);

// Asks one thread, as number `index`; 0 or a negative errno (-EAGAIN: no more timers).
int ask_thread(size_t index, pid_t tid);

// Waits until `asked` of the first `count` numbers have answered, or for timeout_ns.
void ask_wait(size_t count, size_t asked, int64_t timeout_ns);

// Withdraws what was not answered, and gives out an answer. false: there was none.
bool ask_take(size_t index, struct ask_answer *ret);

// All answers were taken: their memory goes back.
void ask_end(size_t count);
