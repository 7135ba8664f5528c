// A process of many blocked threads, for taskprof's endpoint and for debuggers to look at.
//
//     blocked THREADS parked|stranger
//
// parked: each waits in a park on a condition variable; stranger: in read(2), and never calls
// taskprof. When all wait it prints "ADDRESS PID", and goes on until its standard input ends.

#include "bench/bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 64 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static size_t waiting; // guarded by `lock`
static bool parks;
static int pipe_ends[2];

#define LEVEL(name, next)                         \
    static __attribute__((noipa)) void name(void) \
    {                                             \
        next();                                   \
        __asm__ volatile("" ::: "memory");        \
    }

static __attribute__((noipa)) void level7(void)
{
    char byte;
    pthread_mutex_lock(&lock);
    waiting++;
    if (!parks) {
        pthread_mutex_unlock(&lock);
        if (read(pipe_ends[0], &byte, 1) != 1)
            return;
    }
    taskprof_park(TASKPROF_COND_WAIT, &never);
    for (;;)
        pthread_cond_wait(&never, &lock);
}

LEVEL(level6, level7)
LEVEL(level5, level6)
LEVEL(level4, level5)
LEVEL(level3, level4)
LEVEL(level2, level3)
LEVEL(level1, level2)

static void *run(void *unused)
{
    (void)unused;
    level1();
    return NULL;
}

static size_t how_many_wait(void)
{
    pthread_mutex_lock(&lock);
    size_t count = waiting;
    pthread_mutex_unlock(&lock);
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        bench_fail("usage: blocked THREADS parked|stranger");
    size_t count = bench_count(argv[1]);
    parks = strcmp(argv[2], "parked") == 0;
    pthread_attr_t attributes;
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = "127.0.0.1:0";
    if (taskprof_start(&options) < 0)
        bench_fail("%s", taskprof_start_error());
    if (pipe(pipe_ends) < 0 || pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK) != 0)
        bench_fail("no pipe, or no stack of %d bytes", STACK);
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, run, NULL) != 0)
            bench_fail("only %zu of %zu threads could be made: see ulimit -u", i, count);
    }
    while (how_many_wait() < count)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    bench_wait_until_warm();
    printf("%s %d\n", taskprof_address(), (int)getpid());
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    _exit(0);
}
