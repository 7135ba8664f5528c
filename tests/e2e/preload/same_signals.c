// Signals that arrive in the middle of a wait, with SA_RESTART and without; and a handler that
// leaves the wait by siglongjmp.

#include "same.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wunused-result"

static int ends[2];
static int pair[2];
static sem_t semaphore;
static volatile sig_atomic_t signals;
static sigjmp_buf escape;
static volatile sig_atomic_t escapes;

// The second signal ends what the first did not.
static void on_alarm(int number)
{
    (void)number;
    int saved = errno;
    if (escapes)
        siglongjmp(escape, 1);
    if (++signals == 2) {
        write(ends[1], "x", 1);
        send(pair[1], "x", 1, MSG_DONTWAIT);
        sem_post(&semaphore);
    }
    errno = saved;
}

static void arm(int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval twice = {.it_interval.tv_usec = 150000, .it_value.tv_usec = 150000};
    char byte;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    // What the last one left over.
    while (recv(pair[0], &byte, 1, MSG_DONTWAIT) == 1 || sem_trywait(&semaphore) == 0)
        continue;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while (read(ends[0], &byte, 1) == 1)
        continue;
    fcntl(ends[0], F_SETFL, 0);
    signals = 0;
    setitimer(ITIMER_REAL, &twice, NULL);
}

static void disarm(void)
{
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    // More than two only if the machine was busy.
    printf("  after %d\n", signals > 2 ? 2 : (int)signals);
}

#define INTERRUPTED(call) \
    do {                  \
        arm(flags);       \
        SAY(call);        \
        disarm();         \
    } while (0)

static void interrupted(int flags)
{
    char byte;
    struct pollfd quiet = {.fd = -1};
    struct epoll_event event;
    struct timespec left = {0}, second = {.tv_sec = 1};
    int epoll = epoll_create1(0);
    sigset_t none;
    sigemptyset(&none);
    INTERRUPTED(read(ends[0], &byte, 1));
    INTERRUPTED(recv(pair[0], &byte, 1, 0));
    INTERRUPTED(sem_wait(&semaphore));
    INTERRUPTED(sem_timedwait(&semaphore, IN_MS(CLOCK_REALTIME, 5000)));
    INTERRUPTED(poll(&quiet, 1, 5000));
    INTERRUPTED(select(0, NULL, NULL, NULL, &(struct timeval){.tv_sec = 5}));
    INTERRUPTED(epoll_wait(epoll, &event, 1, 5000));
    INTERRUPTED(nanosleep(&second, &left));
    puts(left.tv_nsec > 500000000 && left.tv_nsec < 1000000000 ? "  most is left"
                                                               : "  time is lost");
    INTERRUPTED(clock_nanosleep(CLOCK_MONOTONIC, 0, &second, &left));
    INTERRUPTED(usleep(900000));
    INTERRUPTED(pause());
    INTERRUPTED(sigsuspend(&none));
    close(epoll);
}

static void *holder(void *mutex)
{
    pthread_mutex_lock(mutex);
    sem_post(&semaphore);
    struct pollfd end = {.fd = ends[0], .events = POLLIN};
    poll(&end, 1, -1);
    pthread_mutex_unlock(mutex);
    return NULL;
}

// A mutex is not interrupted.
static void a_mutex(int flags)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    sigset_t alarm;
    sigset_t before;
    pthread_t thread;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, &before);
    pthread_create(&thread, NULL, holder, &mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (sem_wait(&semaphore) != 0)
        continue;
    arm(flags);
    SAY(pthread_mutex_lock(&mutex));
    disarm();
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
}

static void left_by_longjmp(void)
{
    char byte;
    for (volatile int i = 0; i < 3; i++) {
        escapes = 1;
        if (sigsetjmp(escape, 1) == 0) {
            arm(0);
            read(ends[0], &byte, 1);
            puts("it came back");
        }
        escapes = 0;
        setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    }
    SAY(write(ends[1], "y", 1));
    SAY(read(ends[0], &byte, 1));
}

void same_signals(void)
{
    pipe(ends);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    sem_init(&semaphore, 0, 0);
    interrupted(0);
    interrupted(SA_RESTART);
    a_mutex(0);
    left_by_longjmp();
    sigset_t set;
    int number = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    SAY(sigtimedwait(&set, NULL, &(struct timespec){0}));
    SAY_WAITS(30, sigtimedwait(&set, NULL, &(struct timespec){.tv_nsec = 30000000}));
    kill(getpid(), SIGUSR1);
    SAY(sigwait(&set, &number));
    SAY(number == SIGUSR1);
    kill(getpid(), SIGUSR1);
    SAY(sigwaitinfo(&set, NULL) == SIGUSR1);
}
