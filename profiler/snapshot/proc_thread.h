// What the kernel tells of this process's threads, without stopping them: /proc/self/task.
//
// Reads with system calls into buffers on the stack: no stdio, no malloc. Values are hostile input
// like any other.

#pragma once

#include "profiler/snapshot/snapshot.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A thread as it was a moment ago.
struct proc_thread {
    uint64_t start_ticks; // its start, in clock ticks after boot: tells a reused tid apart
    uint64_t timeslices;  // how often it ran; unchanged: it has not run since. 0: not known
    char name[TASKPROF_NAME_SIZE]; // "": not known
    char state;                    // as ps shows it; 0: not known
    // Of proc_thread_where.
    enum task_activity activity; // TASK_RUNNING, TASK_IN_SYSCALL or TASK_UNREADABLE
    int error;                   // of TASK_UNREADABLE: a negative errno, 0: not known
    uint16_t syscall;            // of TASK_IN_SYSCALL, like the next two
    uintptr_t sp;
    uintptr_t pc;
};

// /proc/self/task, for the calls below; -errno where a sandbox hides it. To be closed by the
// caller.
int proc_threads_open(void);

// The process's tids into `into`, at most `max`; how many there are, or a negative errno.
ssize_t proc_threads_list(int directory, pid_t *into, size_t max);

// Looks at one thread: all but where it is. 0; -ESRCH: it is gone.
int proc_thread_look(int directory, pid_t tid, struct proc_thread *ret);

// How often it ran, anew; 0: not known.
uint64_t proc_thread_timeslices(int directory, pid_t tid);

// Fills in what it does and where. 0; -ESRCH: it is gone.
int proc_thread_where(int directory, pid_t tid, struct proc_thread *thread);

// Its sp, if it sits in a system call; 0 if it runs. -ESRCH: it is gone. -EPERM or the like: that
// can't be told.
int proc_thread_sp(int directory, pid_t tid, uintptr_t *ret_sp);

// Whether it is on a processor, or ready for one.
bool proc_thread_runs(int directory, pid_t tid);

// What /proc/self/task/TID/status says of signals and sandboxes.
struct proc_signals {
    uint64_t blocked; // bit N - 1: signal N
    unsigned seccomp; // 0: no sandbox
    unsigned seccomp_filters;
};
int proc_thread_signals(int directory, pid_t tid, struct proc_signals *ret);

// Whether the process has such a thread.
bool proc_thread_exists(pid_t tid);

// The system call that it is blocked in.
struct proc_syscall {
    long number;
    uint64_t arguments[6];
    uintptr_t sp;
};

// 0; -EAGAIN: it is in none (it runs, or waits for no call of its own); -ESRCH: it is gone; or what
// the sandbox says.
int proc_thread_syscall(int directory, pid_t tid, struct proc_syscall *ret);

// Its name (comm) into `into`, NUL-terminated; "" if that can't be told.
void proc_thread_name(int directory, pid_t tid, char into[TASKPROF_NAME_SIZE]);
