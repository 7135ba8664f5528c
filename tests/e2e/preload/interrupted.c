// Threads in calls that the kernel ends early when it interrupts them: two in each, one that waits
// for an hour and one that waits for 20 ms again and again. Each counts what ended before its time,
// with EINTR or without. For every line on standard input prints a line a thread:
// "CALL LIMIT_MS CALLS EARLY"; and at the line "run" starts a thread that runs. Knows nothing of
// taskprof.

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 20, LONG_MS = 3600000, KINDS = 10 };

struct waiter {
    const char *call;
    void (*wait)(int limit_ms);
    int limit_ms;
    _Atomic unsigned long calls;
    _Atomic unsigned long early;
};

static struct timespec span(int ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
}

static struct timespec now_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now;
}

static struct timespec in(int ms, clockid_t clock)
{
    struct timespec then = now_of(clock);
    then.tv_sec += ms / 1000;
    then.tv_nsec += ms % 1000 * 1000000L;
    then.tv_sec += then.tv_nsec / 1000000000L;
    then.tv_nsec %= 1000000000L;
    return then;
}

static void in_poll(int ms)
{
    poll(NULL, 0, ms);
}

static void in_ppoll(int ms)
{
    struct timespec limit = span(ms);
    ppoll(NULL, 0, &limit, NULL);
}

static void in_select(int ms)
{
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    select(0, NULL, NULL, NULL, &limit);
}

static void in_epoll_wait(int ms)
{
    struct epoll_event event;
    int fd = epoll_create1(0);
    epoll_wait(fd, &event, 1, ms);
    close(fd);
}

static void in_nanosleep(int ms)
{
    struct timespec limit = span(ms);
    nanosleep(&limit, NULL);
}

static void in_clock_nanosleep(int ms)
{
    struct timespec until = in(ms, CLOCK_MONOTONIC);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void in_sem_timedwait(int ms)
{
    sem_t nobody_posts;
    struct timespec until = in(ms, CLOCK_REALTIME);
    sem_init(&nobody_posts, 0, 0);
    sem_timedwait(&nobody_posts, &until);
}

static void in_recv(int ms)
{
    int pair[2];
    char byte;
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        abort();
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    recv(pair[0], &byte, 1, 0);
    close(pair[0]);
    close(pair[1]);
}

static void in_sigtimedwait(int ms)
{
    sigset_t set;
    struct timespec limit = span(ms);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigtimedwait(&set, NULL, &limit);
}

// Past every wrapper.
static void in_futex(int ms)
{
#if defined(__x86_64__)
    unsigned word = 0;
    struct timespec limit = span(ms);
    long result;
    register struct timespec *timeout __asm__("r10") = &limit;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_futex), "D"(&word), "S"(FUTEX_WAIT_PRIVATE), "d"(0), "r"(timeout)
                     : "rcx", "r11", "memory");
#else
    in_nanosleep(ms);
#endif
}

static struct waiter waiters[2 * KINDS] = {
    {.call = "poll", .wait = in_poll},
    {.call = "ppoll", .wait = in_ppoll},
    {.call = "select", .wait = in_select},
    {.call = "epoll_wait", .wait = in_epoll_wait},
    {.call = "nanosleep", .wait = in_nanosleep},
    {.call = "clock_nanosleep", .wait = in_clock_nanosleep},
    {.call = "sem_timedwait", .wait = in_sem_timedwait},
    {.call = "recv", .wait = in_recv},
    {.call = "sigtimedwait", .wait = in_sigtimedwait},
    {.call = "futex", .wait = in_futex},
};

static long ms_since(const struct timespec *start)
{
    struct timespec now = now_of(CLOCK_MONOTONIC);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static void *wait_again_and_again(void *argument)
{
    struct waiter *waiter = argument;
    for (;;) {
        struct timespec start = now_of(CLOCK_MONOTONIC);
        waiter->wait(waiter->limit_ms);
        // Limits are counted in the kernel's own clock ticks by some calls: a millisecond or five
        // less is no interruption.
        waiter->early += ms_since(&start) < waiter->limit_ms - 5;
        waiter->calls++;
    }
    return NULL;
}

// Something to be asked for its stack.
static void *run_for_ever(void *argument)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return argument;
}

int main(void)
{
    char line[16];
    pthread_t thread;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 2 * KINDS; i++) {
        if (i >= KINDS) {
            waiters[i].call = waiters[i - KINDS].call;
            waiters[i].wait = waiters[i - KINDS].wait;
        }
        waiters[i].limit_ms = i < KINDS ? LONG_MS : SHORT_MS;
        if (pthread_create(&thread, NULL, wait_again_and_again, &waiters[i]) != 0)
            return 1;
    }
    while (fgets(line, sizeof(line), stdin)) {
        if (strcmp(line, "run\n") == 0 && pthread_create(&thread, NULL, run_for_ever, NULL) != 0)
            return 1;
        for (int i = 0; i < 2 * KINDS; i++)
            printf("%s %d %lu %lu\n", waiters[i].call, waiters[i].limit_ms, waiters[i].calls,
                   waiters[i].early);
        puts("end");
        fflush(stdout);
    }
}
