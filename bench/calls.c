// What calls cost that don't block: compiled without a word of taskprof, and run with the library
// preloaded and without.
//
//     calls

#include "bench/bench.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BLOCK = 10000, // calls between two readings of the clock
    BLOCKS = 60,   // the middle one counts
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t semaphore;
static int zero, nothing, epoll;
static int pair[2];
static char byte;

#define CALLS(X)                                                                    \
    X(lock, pthread_mutex_lock(&mutex) | pthread_mutex_unlock(&mutex))              \
    X(semaphore, sem_post(&semaphore) | sem_wait(&semaphore))                       \
    X(read, read(zero, &byte, 1) != 1)                                              \
    X(write, write(nothing, &byte, 1) != 1)                                         \
    X(exchange, send(pair[0], &byte, 1, 0) != 1 || recv(pair[1], &byte, 1, 0) != 1) \
    X(recv_dontwait, recv(pair[1], &byte, 1, MSG_DONTWAIT) != -1)                   \
    X(poll_now, poll(NULL, 0, 0))                                                   \
    X(epoll_now, epoll_wait(epoll, &(struct epoll_event){0}, 1, 0))

static uint64_t processor_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

#define MEASURE(name, call)                                          \
    static void measure_##name(void)                                 \
    {                                                                \
        double blocks[BLOCKS];                                       \
        for (int i = 0; i < BLOCKS; i++) {                           \
            uint64_t start = processor_ns();                         \
            for (int j = 0; j < BLOCK; j++)                          \
                if (call)                                            \
                    bench_fail(#call ": not what it should return"); \
            blocks[i] = (double)(processor_ns() - start) / BLOCK;    \
        }                                                            \
        bench_say(#name "_ns", bench_median(blocks, BLOCKS));        \
    }
CALLS(MEASURE)

// A process with more than one thread pays for that in every system call; one thread of its own
// makes it such a process, with taskprof's threads or without.
static void *sleep_on(void *unused)
{
    for (;;)
        pause();
    return unused;
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, sleep_on, NULL) != 0)
        bench_fail("no thread");
    bench_pin(0);
    zero = open("/dev/zero", O_RDONLY);
    nothing = open("/dev/null", O_WRONLY);
    epoll = epoll_create1(0);
    if (zero < 0 || nothing < 0 || epoll < 0 || sem_init(&semaphore, 0, 0) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        bench_fail("no files to call");
#define RUN(name, call) measure_##name();
    CALLS(RUN)
    return 0;
}
