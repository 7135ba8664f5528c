// A thread for each call that blocks, in it for ever. It knows nothing of taskprof. Prints a line
// for each, "TID CALL REASON", as the dumps should have it, and "ready" behind them.

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

// Every thread has one of each, and nobody else touches it.
struct things {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    sem_t semaphore;
    mtx_t mtx;
    cnd_t cnd;
    int empty[2];  // a pipe: nothing to read
    int full[2];   // a pipe: no room to write
    int silent[2]; // sockets: nothing to receive
    int stuffed[2];
    int epoll;
    mqd_t empty_queue;
    mqd_t full_queue;
    int msg_empty;
    int msg_full;
    int sem_set;
    int locked; // a file that another description has locked
    pid_t child;
    pthread_t endless;
    uint32_t word;
};

static struct timespec in_an_hour(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    now.tv_sec += 3600;
    return now;
}

static void need(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static void *sleep_on(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static struct sigaction ignored;

#define LATER(clock) &(struct timespec[]){in_an_hour(clock)}[0]
#define SPAN           \
    &(struct timespec) \
    {                  \
        .tv_sec = 3600 \
    }
static char bytes[1 << 20];
#define PIECE &(struct iovec){bytes, sizeof(bytes)}, 1
#define MESSAGE                                                           \
    &(struct msghdr)                                                      \
    {                                                                     \
        .msg_iov = &(struct iovec){bytes, sizeof(bytes)}, .msg_iovlen = 1 \
    }
#define MESSAGES &(struct mmsghdr){.msg_hdr = *(MESSAGE)}, 1
static struct sockaddr_un nobody_accepts;
static socklen_t nobody_length = sizeof(nobody_accepts);

#define CALLS(X)                                                                                 \
    X(pthread_mutex_lock, "sync.Mutex.Lock", (&t->mutex))                                        \
    X(pthread_mutex_timedlock, "sync.Mutex.Lock", (&t->mutex, LATER(CLOCK_REALTIME)))            \
    X(pthread_mutex_clocklock, "sync.Mutex.Lock",                                                \
      (&t->mutex, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC)))                                      \
    X(pthread_cond_wait, "sync.Cond.Wait", (&t->cond, &t->mutex))                                \
    X(pthread_cond_timedwait, "sync.Cond.Wait", (&t->cond, &t->mutex, LATER(CLOCK_REALTIME)))    \
    X(pthread_cond_clockwait, "sync.Cond.Wait",                                                  \
      (&t->cond, &t->mutex, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC)))                            \
    X(pthread_rwlock_rdlock, "sync.RWMutex.RLock", (&t->rwlock))                                 \
    X(pthread_rwlock_timedrdlock, "sync.RWMutex.RLock", (&t->rwlock, LATER(CLOCK_REALTIME)))     \
    X(pthread_rwlock_clockrdlock, "sync.RWMutex.RLock",                                          \
      (&t->rwlock, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC)))                                     \
    X(pthread_rwlock_wrlock, "sync.RWMutex.Lock", (&t->rwlock))                                  \
    X(pthread_rwlock_timedwrlock, "sync.RWMutex.Lock", (&t->rwlock, LATER(CLOCK_REALTIME)))      \
    X(pthread_rwlock_clockwrlock, "sync.RWMutex.Lock",                                           \
      (&t->rwlock, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC)))                                     \
    X(sem_wait, "semacquire", (&t->semaphore))                                                   \
    X(sem_timedwait, "semacquire", (&t->semaphore, LATER(CLOCK_REALTIME)))                       \
    X(sem_clockwait, "semacquire", (&t->semaphore, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC)))     \
    X(pthread_barrier_wait, "barrier wait", (&t->barrier))                                       \
    X(pthread_join, "join", (t->endless, NULL))                                                  \
    X(pthread_timedjoin_np, "join", (t->endless, NULL, LATER(CLOCK_REALTIME)))                   \
    X(pthread_clockjoin_np, "join", (t->endless, NULL, CLOCK_MONOTONIC, LATER(CLOCK_MONOTONIC))) \
    X(mtx_lock, "sync.Mutex.Lock", (&t->mtx))                                                    \
    X(mtx_timedlock, "sync.Mutex.Lock", (&t->mtx, LATER(CLOCK_REALTIME)))                        \
    X(cnd_wait, "sync.Cond.Wait", (&t->cnd, &t->mtx))                                            \
    X(cnd_timedwait, "sync.Cond.Wait", (&t->cnd, &t->mtx, LATER(CLOCK_REALTIME)))                \
    X(thrd_join, "join", (t->endless, NULL))                                                     \
    X(thrd_sleep, "sleep", (SPAN, NULL))                                                         \
    X(sleep, "sleep", (3600))                                                                    \
    X(usleep, "sleep", (3600000000u))                                                            \
    X(nanosleep, "sleep", (SPAN, NULL))                                                          \
    X(clock_nanosleep, "sleep", (CLOCK_MONOTONIC, TIMER_ABSTIME, LATER(CLOCK_MONOTONIC), NULL))  \
    X(read, "IO wait", (t->empty[0], bytes, 1))                                                  \
    X(readv, "IO wait", (t->empty[0], PIECE))                                                    \
    X(preadv2, "IO wait", (t->empty[0], PIECE, -1, 0))                                           \
    X(write, "IO wait", (t->full[1], bytes, sizeof(bytes)))                                      \
    X(writev, "IO wait", (t->full[1], PIECE))                                                    \
    X(pwritev2, "IO wait", (t->full[1], PIECE, -1, 0))                                           \
    X(recv, "IO wait", (t->silent[0], bytes, 1, 0))                                              \
    X(recvfrom, "IO wait", (t->silent[0], bytes, 1, 0, NULL, NULL))                              \
    X(recvmsg, "IO wait", (t->silent[0], MESSAGE, 0))                                            \
    X(recvmmsg, "IO wait", (t->silent[0], MESSAGES, 0, NULL))                                    \
    X(send, "IO wait", (t->stuffed[0], bytes, 1, 0))                                             \
    X(sendto, "IO wait", (t->stuffed[0], bytes, 1, 0, NULL, 0))                                  \
    X(sendmsg, "IO wait", (t->stuffed[0], MESSAGE, 0))                                           \
    X(sendmmsg, "IO wait", (t->stuffed[0], MESSAGES, 0))                                         \
    X(accept, "IO wait", (listener(), NULL, NULL))                                               \
    X(accept4, "IO wait", (listener(), NULL, NULL, 0))                                           \
    X(connect, "IO wait",                                                                        \
      (socket(AF_UNIX, SOCK_STREAM, 0), (void *)&nobody_accepts, nobody_length))                 \
    X(poll, "IO wait", (&(struct pollfd){t->empty[0], POLLIN, 0}, 1, -1))                        \
    X(ppoll, "IO wait", (&(struct pollfd){t->empty[0], POLLIN, 0}, 1, SPAN, NULL))               \
    X(select, "IO wait", (0, NULL, NULL, NULL, NULL))                                            \
    X(pselect, "IO wait", (0, NULL, NULL, NULL, SPAN, NULL))                                     \
    X(epoll_wait, "IO wait", (t->epoll, (void *)bytes, 1, -1))                                   \
    X(epoll_pwait, "IO wait", (t->epoll, (void *)bytes, 1, 3600000, NULL))                       \
    X(epoll_pwait2, "IO wait", (t->epoll, (void *)bytes, 1, SPAN, NULL))                         \
    X(sigwait, "signal wait", (&ignored.sa_mask, &(int){0}))                                     \
    X(sigwaitinfo, "signal wait", (&ignored.sa_mask, NULL))                                      \
    X(sigtimedwait, "signal wait", (&ignored.sa_mask, NULL, SPAN))                               \
    X(sigsuspend, "signal wait", (&ignored.sa_mask))                                             \
    X(pause, "signal wait", ())                                                                  \
    X(wait, "child wait", (NULL))                                                                \
    X(waitpid, "child wait", (t->child, NULL, 0))                                                \
    X(waitid, "child wait", (P_PID, (id_t)t->child, NULL, WEXITED))                              \
    X(wait3, "child wait", (NULL, 0, NULL))                                                      \
    X(wait4, "child wait", (t->child, NULL, 0, NULL))                                            \
    X(msgrcv, "IO wait", (t->msg_empty, bytes, 1, 0, 0))                                         \
    X(msgsnd, "IO wait", (t->msg_full, (memset(bytes, 1, 8), bytes), 8000, 0))                   \
    X(semop, "semacquire", (t->sem_set, &(struct sembuf){0, -1, 0}, 1))                          \
    X(semtimedop, "semacquire", (t->sem_set, &(struct sembuf){0, -1, 0}, 1, SPAN))               \
    X(mq_receive, "IO wait", (t->empty_queue, bytes, 8192, NULL))                                \
    X(mq_timedreceive, "IO wait", (t->empty_queue, bytes, 8192, NULL, LATER(CLOCK_REALTIME)))    \
    X(mq_send, "IO wait", (t->full_queue, bytes, 1, 0))                                          \
    X(mq_timedsend, "IO wait", (t->full_queue, bytes, 1, 0, LATER(CLOCK_REALTIME)))              \
    X(flock, "syscall", (t->locked, LOCK_EX))                                                    \
    X(fcntl, "syscall",                                                                          \
      (open_locked(), F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}))   \
    X(syscall, "semacquire", (SYS_futex, &t->word, FUTEX_WAIT, 0, NULL, NULL, 0))

static char scratch[64] = "/tmp/taskprof-blocked-XXXXXX";

static int listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    need(bind(fd, (struct sockaddr *)&(sa_family_t){AF_UNIX}, sizeof(sa_family_t)) == 0, "bind");
    need(listen(fd, 1) == 0, "listen");
    return fd;
}

static int open_locked(void)
{
    int fd = open(scratch, O_RDWR);
    need(fd >= 0, scratch);
    return fd;
}

// A listener whose queue is full: connecting to it blocks.
static void fill_listener(void)
{
    int fd = listener();
    need(getsockname(fd, (struct sockaddr *)&nobody_accepts, &nobody_length) == 0, "getsockname");
    int client;
    do {
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    } while (connect(client, (struct sockaddr *)&nobody_accepts, nobody_length) == 0);
}

static void make_queues(struct things *t)
{
    static int made;
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8192};
    for (int full = 0; full < 2; full++) {
        snprintf(name, sizeof(name), "/taskprof-blocked-%d-%d", (int)getpid(), made++);
        mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
        need(queue >= 0, "mq_open");
        mq_unlink(name);
        if (full)
            mq_send(queue, bytes, 1, 0);
        *(full ? &t->full_queue : &t->empty_queue) = queue;
    }
}

static void make_shared(struct things *t)
{
    make_queues(t);
    t->msg_empty = msgget(IPC_PRIVATE, 0600);
    t->msg_full = msgget(IPC_PRIVATE, 0600);
    t->sem_set = semget(IPC_PRIVATE, 1, 0600);
    need(t->msg_empty >= 0 && t->msg_full >= 0 && t->sem_set >= 0, "System V queues");
    struct {
        long type;
        char text[8000];
    } message = {.type = 1};
    while (msgsnd(t->msg_full, &message, sizeof(message.text), IPC_NOWAIT) == 0)
        continue;
    t->child = fork();
    if (t->child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sleep_on(NULL);
    }
    pthread_create(&t->endless, NULL, sleep_on, NULL);
    need(mkstemp(scratch) >= 0, scratch);
    int fd = open(scratch, O_RDWR);
    flock(fd, LOCK_EX);
    fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
    t->locked = open(scratch, O_RDWR);
    fill_listener();
}

static struct things *things(const struct things *shared, const char *call)
{
    struct things *t = malloc(sizeof(*t));
    *t = *shared;
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->cond, NULL);
    pthread_rwlock_init(&t->rwlock, NULL);
    pthread_barrier_init(&t->barrier, NULL, 2);
    sem_init(&t->semaphore, 0, 0);
    mtx_init(&t->mtx, mtx_plain | mtx_timed);
    cnd_init(&t->cnd);
    // A mutex that this thread holds blocks another one that locks it. One that is waited with is
    // locked by the waiter.
    if (!strstr(call, "cond") && !strstr(call, "cnd")) {
        pthread_mutex_lock(&t->mutex);
        mtx_lock(&t->mtx);
        pthread_rwlock_wrlock(&t->rwlock);
    }
    need(pipe(t->empty) == 0 && pipe(t->full) == 0, "pipe");
    fcntl(t->full[1], F_SETFL, O_NONBLOCK);
    while (write(t->full[1], bytes, 4096) > 0)
        continue;
    fcntl(t->full[1], F_SETFL, 0);
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, t->silent) == 0, "socketpair");
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, t->stuffed) == 0, "socketpair");
    while (send(t->stuffed[0], bytes, 4096, MSG_DONTWAIT) > 0)
        continue;
    t->epoll = epoll_create1(0);
    return t;
}

struct start {
    struct things *things;
    pid_t tid;
};

#define BLOCKED_IN(call, reason, arguments)                                \
    static __attribute__((noipa)) void blocked_in_##call(struct things *t) \
    {                                                                      \
        (void)t;                                                           \
        call arguments;                                                    \
    }                                                                      \
    static void *thread_of_##call(void *argument)                          \
    {                                                                      \
        struct start *start = argument;                                    \
        struct things *t = start->things;                                  \
        if (strstr(#call, "cond"))                                         \
            pthread_mutex_lock(&t->mutex);                                 \
        if (strstr(#call, "cnd"))                                          \
            mtx_lock(&t->mtx);                                             \
        __atomic_store_n(&start->tid, gettid(), __ATOMIC_RELEASE);         \
        blocked_in_##call(t);                                              \
        printf("%s came back: %s\n", #call, strerror(errno));              \
        fflush(stdout);                                                    \
        return NULL;                                                       \
    }
#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wnonnull"
CALLS(BLOCKED_IN)

static void launch(const struct things *shared, const char *call, const char *reason,
                   void *(*function)(void *))
{
    struct start *start = calloc(1, sizeof(*start));
    start->things = things(shared, call);
    pthread_t thread;
    need(pthread_create(&thread, NULL, function, start) == 0, "pthread_create");
    while (!__atomic_load_n(&start->tid, __ATOMIC_ACQUIRE))
        sched_yield();
    printf("%d %s %s\n", (int)start->tid, call, reason);
}

int main(void)
{
    // A signal that is blocked everywhere and never sent.
    sigemptyset(&ignored.sa_mask);
    sigaddset(&ignored.sa_mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &ignored.sa_mask, NULL);
    struct things shared = {0};
    make_shared(&shared);
#define LAUNCH(call, reason, arguments) launch(&shared, #call, reason, thread_of_##call);
    CALLS(LAUNCH)
    puts("ready");
    fflush(stdout);
    // Whoever started this closes its end when done: then nothing must be left.
    while (read(STDIN_FILENO, bytes, 1) > 0)
        continue;
    unlink(scratch);
    msgctl(shared.msg_empty, IPC_RMID, NULL);
    msgctl(shared.msg_full, IPC_RMID, NULL);
    semctl(shared.sem_set, 0, IPC_RMID);
    _exit(0);
}
