// A process that locks itself in after it has started: prints the endpoint's address, then stays
// until its standard input ends. Exit code 3: this needs more rights than there are.
//
//     sandbox chroot DIRECTORY | seccomp | drop

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static taskprof_chan *orders;

static void *worker(void *argument)
{
    int order;
    taskprof_chan_receive(orders, &order, NULL);
    return argument;
}

static void *stranger(void *argument)
{
    pause();
    return argument;
}

// Every openat fails from now on, in every thread.
static int forbid_openat(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof(program) / sizeof(program[0]), .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
}

static int lock_in(const char *how, const char *directory)
{
    if (strcmp(how, "chroot") == 0)
        return chroot(directory) == 0 && chdir("/") == 0 ? 0 : -1;
    if (strcmp(how, "seccomp") == 0)
        return forbid_openat();
    return setgid(NOBODY) == 0 && setuid(NOBODY) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc < 2 || taskprof_start(NULL) != 0 ||
        taskprof_chan_make(sizeof(int), 0, "orders", &orders) != 0 ||
        pthread_create(&thread, NULL, worker, NULL) != 0 ||
        pthread_create(&thread, NULL, stranger, NULL) != 0)
        return 2;
    if (lock_in(argv[1], argc > 2 ? argv[2] : "/") != 0)
        return 3;
    printf("%s\n", taskprof_address());
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    _exit(0);
}
