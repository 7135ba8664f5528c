#include "profiler/snapshot/proc_thread.h"
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

// What getdents64 fills in; from getdents(2).
struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

ssize_t proc_threads_list(int directory, pid_t *into, size_t max)
{
    _Alignas(8) char bytes[8192];
    size_t count = 0;
    if (lseek(directory, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long got = syscall(SYS_getdents64, directory, bytes, sizeof(bytes));
        if (got < 0)
            return -errno;
        if (got == 0)
            return (ssize_t)count;
        for (long at = 0; at < got;) {
            const struct directory_entry *entry = (const void *)(bytes + at);
            long tid = strtol(entry->name, NULL, 10);
            if (tid > 0 && tid <= INT32_MAX) {
                if (count < max)
                    into[count] = (pid_t)tid;
                count++;
            }
            at += entry->length;
        }
    }
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

static int look_at_syscall(int directory, pid_t tid, struct proc_thread *ret)
{
    uint64_t values[8];
    long number;
    int count = read_syscall(directory, tid, &number, values);
    if (count < 0)
        return count;
    if (count == 0) {
        ret->activity = TASK_RUNNING;
        return 0;
    }
    ret->sp = values[count - 2];
    ret->pc = values[count - 1];
    // -1: it waits, but for no call of its own (a page, a debugger): as good as running.
    ret->activity = number < 0 ? TASK_RUNNING : TASK_IN_SYSCALL;
    ret->syscall = number < 0 ? 0 : (uint16_t)number;
    return 0;
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
    char state = 0;
    if (at && at[1] == ' ')
        state = at[2];
    for (int field = 3; at && field <= 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        ret->start_ticks = strtoull(at, NULL, 10);
    if (state == 'Z' || state == 'X')
        return -ESRCH;

    int result = look_at_syscall(directory, tid, ret);
    if (result == -ESRCH)
        return -ESRCH;
    if (result < 0)
        ret->error = result;
    if (result < 0 && state) // no word on system calls, but on its state
        ret->activity = state == 'R' ? TASK_RUNNING : TASK_UNREADABLE;
    // "ran waited times": the third one counts time slices.
    got = read_file(directory, tid, "schedstat", text, sizeof(text));
    if (got > 0 && (at = strchr(text, ' ')) && (at = strchr(at + 1, ' ')))
        ret->timeslices = strtoull(at, NULL, 10);
    return 0;
}

int proc_thread_sp(int directory, pid_t tid, uintptr_t *ret_sp)
{
    struct proc_thread thread = {0};
    int result = directory < 0 ? -EPERM : look_at_syscall(directory, tid, &thread);
    if (result < 0)
        return result;
    *ret_sp = thread.activity == TASK_IN_SYSCALL ? thread.sp : 0;
    return 0;
}

bool proc_thread_runs(int directory, pid_t tid)
{
    struct proc_thread thread = {0};
    return look_at_syscall(directory, tid, &thread) == 0 && thread.activity == TASK_RUNNING &&
           thread.sp == 0;
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
