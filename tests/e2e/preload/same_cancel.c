// Cancellation at every cancellation point: blocked in it, and asked for before it, when it would
// not block.

#include "same.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wunused-result"

static struct point {
    int ends[2];
    int pair[2];
    int epoll;
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_t other;
    _Atomic pid_t tid;
    _Atomic bool cancelled;
    bool before;
    const char *name;
    void (*call)(struct point *);
} point;

static char byte;
static char plenty[1 << 20]; // more than a pipe holds

#define POINTS(X)                                                                    \
    X(read, (p->ends[0], &byte, 1))                                                  \
    X(readv, (p->ends[0], &(struct iovec){&byte, 1}, 1))                             \
    X(recv, (p->pair[0], &byte, 1, 0))                                               \
    X(recvfrom, (p->pair[0], &byte, 1, 0, NULL, NULL))                               \
    X(poll, (&(struct pollfd){p->ends[0], POLLIN, 0}, 1, -1))                        \
    X(ppoll, (&(struct pollfd){p->ends[0], POLLIN, 0}, 1, NULL, NULL))               \
    X(epoll_wait, (p->epoll, &(struct epoll_event){0}, 1, -1))                       \
    X(sem_wait, (&p->semaphore))                                                     \
    X(sem_timedwait, (&p->semaphore, IN_MS(CLOCK_REALTIME, 60000)))                  \
    X(pthread_cond_wait, (&p->cond, &p->mutex))                                      \
    X(pthread_cond_timedwait, (&p->cond, &p->mutex, IN_MS(CLOCK_REALTIME, 60000)))   \
    X(pthread_join, (p->other, NULL))                                                \
    X(nanosleep, (&(struct timespec){.tv_sec = 60}, NULL))                           \
    X(clock_nanosleep, (CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = 60}, NULL)) \
    X(sleep, (60))                                                                   \
    X(usleep, (60000000))                                                            \
    X(pause, ())                                                                     \
    X(select, (0, NULL, NULL, NULL, NULL))                                           \
    X(write, (p->ends[1], plenty, p->before ? 1 : sizeof(plenty)))

#define CALL(name, arguments)                \
    static void call_##name(struct point *p) \
    {                                        \
        (void)p;                             \
        name arguments;                      \
    }
POINTS(CALL)

static void *endless(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void cleaned(void *argument)
{
    struct point *p = argument;
    printf("  cleanup of %s\n", p->name);
    // A wait of its own, deeper and shallower than where it was cancelled.
    usleep(1000);
    if (pthread_mutex_trylock(&p->mutex) == EBUSY)
        pthread_mutex_unlock(&p->mutex); // a condition's, taken again
    else
        pthread_mutex_unlock(&p->mutex);
}

static void *run(void *argument)
{
    struct point *p = argument;
    pthread_cleanup_push(cleaned, p);
    int old;
    if (p->before)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    atomic_store(&p->tid, gettid());
    if (p->before) {
        while (!atomic_load(&p->cancelled))
            sched_yield();
        pthread_setcancelstate(old, NULL);
    }
    if (strstr(p->name, "cond"))
        pthread_mutex_lock(&p->mutex);
    p->call(p);
    printf("  %s came back\n", p->name);
    pthread_cleanup_pop(0);
    return NULL;
}

// Asleep, as the kernel sees it.
static bool sleeps(pid_t tid)
{
    char path[64], state = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            state = 0;
        fclose(file);
    }
    return state == 'S';
}

static void cancel_in(const char *name, void (*call)(struct point *), bool before)
{
    memset(&point, 0, sizeof(point));
    point.name = name;
    point.call = call;
    point.before = before;
    pipe(point.ends);
    socketpair(AF_UNIX, SOCK_STREAM, 0, point.pair);
    pthread_mutex_init(&point.mutex, NULL);
    pthread_cond_init(&point.cond, NULL);
    sem_init(&point.semaphore, 0, before);
    point.epoll = epoll_create1(0);
    epoll_ctl(point.epoll, EPOLL_CTL_ADD, point.ends[0], &(struct epoll_event){.events = EPOLLIN});
    pthread_create(&point.other, NULL, endless, NULL);
    if (before) { // it would not block
        write(point.ends[1], "x", 1);
        send(point.pair[1], "x", 1, 0);
    }
    pthread_t thread;
    void *result = NULL;
    pthread_create(&thread, NULL, run, &point);
    while (!atomic_load(&point.tid))
        sched_yield();
    if (!before)
        while (!sleeps(atomic_load(&point.tid)))
            sched_yield();
    pthread_cancel(thread);
    atomic_store(&point.cancelled, true);
    pthread_join(thread, &result);
    int left = 0;
    sem_getvalue(&point.semaphore, &left);
    fcntl(point.ends[0], F_SETFL, O_NONBLOCK);
    printf("%s %s: cancelled %d, semaphore %d, unread %d\n", name, before ? "before" : "blocked",
           result == PTHREAD_CANCELED, left,
           strcmp(name, "write") ? (int)read(point.ends[0], &byte, 1) : 0);
    pthread_cancel(point.other);
    pthread_join(point.other, NULL);
    for (int i = 0; i < 2; i++) {
        close(point.ends[i]);
        close(point.pair[i]);
    }
    close(point.epoll);
}

void same_cancellation(void)
{
#define CANCEL(name, arguments)           \
    cancel_in(#name, call_##name, false); \
    cancel_in(#name, call_##name, true);
    POINTS(CANCEL)
}
