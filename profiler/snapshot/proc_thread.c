#include "profiler/snapshot/proc_thread.h"

#include "profiler/base/directory.h"
#include "profiler/base/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Bare system calls: open, read and close are cancellation points, and may be wrapped.

int proc_threads_open(void)
{
    int fd = own_fd(
        (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd < 0 ? -errno : fd;
}

ssize_t proc_threads_list(int directory, pid_t *into, size_t max)
{
    struct directory walk;
    const char *name;
    size_t count = 0;
    int result;
    if (lseek(directory, 0, SEEK_SET) < 0)
        return -errno;
    directory_begin(&walk, directory);
    while ((result = directory_next(&walk, &name)) > 0) {
        long tid = strtol(name, NULL, 10);
        if (tid <= 0 || tid > INT32_MAX)
            continue;
        if (count < max)
            into[count] = (pid_t)tid;
        count++;
    }
    return result < 0 ? result : (ssize_t)count;
}

// Reads a small file of a thread's directory whole. Its length; -ESRCH when the thread is gone.
static ssize_t read_file(int directory, pid_t tid, const char *file, char *into, size_t size)
{
    char path[48];
    snprintf(path, sizeof(path), "%d/%s", (int)tid, file);
    int fd = own_fd((int)syscall(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC));
    ssize_t got = fd < 0 ? -1 : syscall(SYS_read, fd, into, size - 1);
    int error = errno;
    if (fd >= 0)
        own_fd_close(fd);
    if (got < 0)
        return error == ENOENT ? -ESRCH : -error;
    into[got] = '\0';
    return got;
}

// "NR a b c d e f sp pc", "-1 sp pc", or "running": proc_pid_syscall(5). The numbers into `values`,
// sp and pc last. How many; 0: it runs; or a negative errno.
static int read_syscall(int directory, pid_t tid, long *ret_number, uint64_t values[8])
{
    char text[256];
    ssize_t got = read_file(directory, tid, "syscall", text, sizeof(text));
    if (got < 0)
        return (int)got;
    if (strncmp(text, "running", 7) == 0)
        return 0;
    char *at = text;
    long number = strtol(at, &at, 10);
    int count = 0;
    while (count < 8 && *at == ' ')
        values[count++] = strtoull(at, &at, 16);
    *ret_number = number;
    return count == (number < 0 ? 2 : 8) ? count : -EPROTO;
}

int proc_thread_syscall(int directory, pid_t tid, struct proc_syscall *ret)
{
    uint64_t values[8];
    if (directory < 0)
        return directory;
    int count = read_syscall(directory, tid, &ret->number, values);
    if (count < 0)
        return count;
    if (count != 8)
        return -EAGAIN;
    memcpy(ret->arguments, values, sizeof(ret->arguments));
    ret->sp = values[6];
    return 0;
}

int proc_thread_look(int directory, pid_t tid, struct proc_thread *ret)
{
    *ret = (struct proc_thread){.activity = TASK_UNREADABLE};
    char text[1024];
    if (directory < 0)
        return 0;
    ssize_t got = read_file(directory, tid, "stat", text, sizeof(text));
    if (got == -ESRCH)
        return -ESRCH;
    // The name stands in brackets and may hold anything: fields are counted behind the last one.
    char *at = got > 0 ? strrchr(text, ')') : NULL;
    const char *name = at ? strchr(text, '(') : NULL;
    if (name && name < at && (size_t)(at - name) <= sizeof(ret->name))
        memcpy(ret->name, name + 1, (size_t)(at - name) - 1);
    if (at && at[1] == ' ')
        ret->state = at[2];
    for (int field = 3; at && field <= 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        ret->start_ticks = strtoull(at, NULL, 10);
    if (ret->state == 'Z' || ret->state == 'X')
        return -ESRCH;
    ret->timeslices = proc_thread_timeslices(directory, tid);
    return 0;
}

uint64_t proc_thread_timeslices(int directory, pid_t tid)
{
    char text[128];
    // "ran waited times": the third one counts time slices.
    ssize_t got = directory < 0 ? -1 : read_file(directory, tid, "schedstat", text, sizeof(text));
    const char *at = got > 0 ? strchr(text, ' ') : NULL;
    at = at ? strchr(at + 1, ' ') : NULL;
    return at ? strtoull(at, NULL, 10) : 0;
}

int proc_thread_where(int directory, pid_t tid, struct proc_thread *thread)
{
    uint64_t values[8];
    long number = 0;
    if (directory < 0)
        return 0;
    int count = read_syscall(directory, tid, &number, values);
    if (count == -ESRCH)
        return -ESRCH;
    // -1: it waits, but for no call of its own (a page, a debugger): as good as running.
    thread->activity = count > 0 && number >= 0 ? TASK_IN_SYSCALL : TASK_RUNNING;
    thread->error = count < 0 ? count : 0;
    if (count < 0 && thread->state != 'R') // no word on system calls, but on its state
        thread->activity = TASK_UNREADABLE;
    if (thread->activity != TASK_IN_SYSCALL)
        return 0;
    thread->syscall = (uint16_t)number;
    thread->sp = values[6];
    thread->pc = values[7];
    return 0;
}

int proc_thread_sp(int directory, pid_t tid, uintptr_t *ret_sp)
{
    struct proc_syscall call;
    int result = directory < 0 ? -EPERM : proc_thread_syscall(directory, tid, &call);
    *ret_sp = result == 0 ? call.sp : 0;
    return result == -EAGAIN ? 0 : result;
}

bool proc_thread_runs(int directory, pid_t tid)
{
    uint64_t values[8];
    long number;
    return directory >= 0 && read_syscall(directory, tid, &number, values) == 0;
}

// The number behind a field's name; 0 where the kernel has no such field.
static uint64_t status_field(const char *text, const char *name, int base)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

int proc_thread_signals(int directory, pid_t tid, struct proc_signals *ret)
{
    char text[4096];
    ssize_t got = read_file(directory, tid, "status", text, sizeof(text));
    if (got < 0)
        return (int)got;
    *ret = (struct proc_signals){
        .blocked = status_field(text, "\nSigBlk:", 16),
        .seccomp = (unsigned)status_field(text, "\nSeccomp:", 10),
        .seccomp_filters = (unsigned)status_field(text, "\nSeccomp_filters:", 10),
    };
    return strstr(text, "\nSigBlk:") ? 0 : -EPROTO;
}

bool proc_thread_exists(pid_t tid)
{
    int saved = errno;
    // Signal 0 is none: the kernel looks for the thread, and that is all.
    bool exists = syscall(SYS_tgkill, getpid(), tid, 0) == 0 || errno != ESRCH;
    errno = saved;
    return exists;
}

void proc_thread_name(int directory, pid_t tid, char into[TASKPROF_NAME_SIZE])
{
    into[0] = '\0';
    if (directory < 0)
        return;
    ssize_t got = read_file(directory, tid, "comm", into, TASKPROF_NAME_SIZE);
    if (got > 0 && into[got - 1] == '\n')
        into[got - 1] = '\0';
    if (got < 0)
        into[0] = '\0';
}
