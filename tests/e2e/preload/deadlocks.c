// Threads in deadlocks, a lock that nobody will unlock, and one that just runs. Stays until its
// standard input ends.

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold;

static void *left_then_right(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&left);
    pthread_barrier_wait(&both_hold);
    pthread_mutex_lock(&right);
    return NULL;
}

static void *right_then_left(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&right);
    pthread_barrier_wait(&both_hold);
    pthread_mutex_lock(&left);
    return NULL;
}

static void *lock_twice(void *mutex)
{
    pthread_mutex_lock(mutex);
    pthread_mutex_lock(mutex);
    return NULL;
}

static void *lock_once(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static void *busy(void *unused)
{
    for (volatile unsigned long turns = 0;; turns++)
        continue;
    return unused;
}

static void start(void *(*run)(void *), void *argument, pthread_t *ret)
{
    if (pthread_create(ret, NULL, run, argument) != 0)
        exit(2);
}

int main(void)
{
    static pthread_mutex_t twice = PTHREAD_MUTEX_INITIALIZER;
    static pthread_mutex_t forgotten = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    pthread_barrier_init(&both_hold, NULL, 2);
    start(left_then_right, NULL, &thread);
    start(right_then_left, NULL, &thread);
    start(lock_twice, &twice, &thread);
    start(lock_once, &forgotten, &thread);
    pthread_join(thread, NULL);
    start(lock_once, &forgotten, &thread);
    start(busy, NULL, &thread);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    _exit(0);
}
