// Calls that are wrapped, each with what it returns and what it leaves in errno.

#include "same.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <threads.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wnonnull"
#pragma GCC diagnostic ignored "-Wunused-result"

// An address where nothing is, as the compiler doesn't see.
static void *volatile nowhere = (void *)1;

static void files(void)
{
    int ends[2];
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    pipe(ends);
    SAY(read(-1, &byte, 1));
    SAY(read(ends[0], nowhere, 0));
    SAY(write(ends[1], &byte, 1));
    SAY(read(ends[0], nowhere, 1));
    SAY(read(ends[0], &byte, 1));
    SAY(writev(ends[1], &piece, 1));
    SAY(readv(ends[0], &piece, 1));
    SAY(pread(ends[0], &byte, 1, 0));
    SAY(preadv2(ends[0], &piece, 1, -1, RWF_NOWAIT));
    SAY(fcntl(ends[0], F_GETFL));
    SAY(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    SAY(read(ends[0], &byte, 1));
    SAY(fcntl(ends[0], F_GETFL));
    SAY(fcntl(-1, F_SETLKW, NULL));
    SAY(fcntl(ends[0], F_DUPFD_CLOEXEC, 900) >= 900);
    SAY(flock(-1, LOCK_EX));
    SAY(lockf(-1, F_LOCK, 0));
    SAY(close(ends[1]));
    SAY(close(ends[1]));
    SAY(fcntl(ends[0], F_SETFL, 0));
    SAY(read(ends[0], &byte, 1));
}

static void sockets(void)
{
    int pair[2];
    char bytes[4];
    struct msghdr message = {0};
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    SAY(recv(pair[0], bytes, 1, MSG_DONTWAIT));
    SAY(send(pair[0], "abcd", 4, 0));
    SAY(recv(pair[1], bytes, 2, MSG_PEEK));
    SAY(recvfrom(pair[1], bytes, 4, MSG_WAITALL, NULL, NULL));
    SAY(recvmsg(pair[1], NULL, 0));
    SAY(sendmsg(pair[1], &message, 0));
    SAY(accept(pair[0], NULL, NULL));
    SAY(accept4(-1, NULL, NULL, SOCK_CLOEXEC));
    SAY(connect(pair[0], NULL, 0));
    SAY(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_usec = 50000},
                   sizeof(struct timeval)));
    SAY_WAITS(50, recv(pair[0], bytes, 1, 0));
    SAY(close(pair[1]));
    SAY(recv(pair[0], bytes, 1, 0));
    SAY(send(pair[0], bytes, 1, MSG_NOSIGNAL));
}

static void polls(void)
{
    struct pollfd one = {.fd = -1};
    struct epoll_event event;
    int epoll = epoll_create1(0);
    fd_set set;
    FD_ZERO(&set);
    SAY(poll(nowhere, 1, 0));
    SAY(poll(nowhere, 1, 10));
    SAY(poll(&one, 1, 0));
    SAY_WAITS(30, poll(&one, 1, 30));
    SAY_WAITS(30, ppoll(&one, 1, &(struct timespec){.tv_nsec = 30000000}, NULL));
    SAY(ppoll(&one, 1, &(struct timespec){.tv_nsec = -1}, NULL));
    SAY_WAITS(30, select(0, &set, NULL, NULL, &(struct timeval){.tv_usec = 30000}));
    SAY(select(-1, &set, NULL, NULL, NULL));
    SAY_WAITS(30, pselect(0, &set, NULL, NULL, &(struct timespec){.tv_nsec = 30000000}, NULL));
    SAY_WAITS(30, epoll_wait(epoll, &event, 1, 30));
    SAY(epoll_wait(epoll, &event, 0, -1));
    SAY(epoll_wait(-1, &event, 1, -1));
    SAY_WAITS(30, epoll_pwait2(epoll, &event, 1, &(struct timespec){.tv_nsec = 30000000}, NULL));
    SAY(epoll_pwait2(epoll, &event, 1, nowhere, NULL));
}

static void sleeps(void)
{
    struct timespec span = {.tv_nsec = 30000000};
    SAY_WAITS(30, nanosleep(&span, NULL));
    SAY(nanosleep(nowhere, NULL));
    SAY(nanosleep(&(struct timespec){.tv_nsec = 1000000000}, NULL));
    SAY_WAITS(30, usleep(30000));
    SAY(sleep(0));
    SAY_WAITS(1000, sleep(1));
    SAY_WAITS(30, thrd_sleep(&span, NULL));
    SAY(thrd_sleep(&(struct timespec){.tv_nsec = -1}, NULL));
    SAY_WAITS(30, clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL));
    SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &span, NULL));
    SAY(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &span, NULL));
}

// syscall() with as many arguments as there are, and for what it is wrapped for.
static void raw(void)
{
    uint32_t word = 7;
    SAY(syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L) > 0);
    SAY(syscall(SYS_getpid) == getpid());
    SAY(syscall(-1));
    SAY(syscall(SYS_futex, &word, FUTEX_WAIT, 8, NULL, NULL, 0));
    SAY(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0));
    SAY_WAITS(30, syscall(SYS_futex, &word, FUTEX_WAIT, 7, &(struct timespec){.tv_nsec = 30000000},
                          NULL, 0));
    SAY_WAITS(30, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 7, IN_MS(CLOCK_MONOTONIC, 30), NULL,
                          FUTEX_BITSET_MATCH_ANY));
    SAY(syscall(SYS_futex, nowhere, FUTEX_WAIT, 7, NULL, NULL, 0));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    files();
    sockets();
    polls();
    sleeps();
    raw();
    same_locks();
    same_signals();
    same_cancellation();
    same_small_stack();
    same_processes();
}
