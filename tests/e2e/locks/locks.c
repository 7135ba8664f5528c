// A process whose threads hold locks and wait for them. Prints the endpoint's address, then stays
// until its standard input ends.
//
//     locks SCENARIO…     see `scenarios`

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { RING = 5, HOUR = 3600 };

static pthread_barrier_t both_hold;

__attribute__((noinline)) static void wait_for_mutex(pthread_mutex_t *mutex)
{
    taskprof_park(TASKPROF_MUTEX_LOCK, mutex);
    pthread_mutex_lock(mutex);
    taskprof_unpark();
}

static void start(const char *name, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0)
        exit(2);
    pthread_setname_np(thread, name);
}

static void start_and_join(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0 || pthread_join(thread, NULL) != 0)
        exit(2);
}

static void *take_and_stay(void *mutex)
{
    pthread_mutex_lock(mutex);
    pthread_barrier_wait(&both_hold);
    pause();
    return NULL;
}

static void *take_and_end(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static void *wait_for_it(void *mutex)
{
    wait_for_mutex(mutex);
    return NULL;
}

struct pair {
    pthread_mutex_t *first;
    pthread_mutex_t *second;
};

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t right = PTHREAD_MUTEX_INITIALIZER;

static void *take_two(void *argument)
{
    const struct pair *pair = argument;
    pthread_mutex_lock(pair->first);
    pthread_barrier_wait(&both_hold);
    wait_for_mutex(pair->second);
    return NULL;
}

static void ab_ba(void)
{
    static struct pair ab = {&left, &right};
    static struct pair ba = {&right, &left};
    pthread_barrier_init(&both_hold, NULL, 3);
    start("left-right", take_two, &ab);
    start("right-left", take_two, &ba);
    pthread_barrier_wait(&both_hold);
    start("behind", wait_for_it, &left);
}

static void ring(void)
{
    static pthread_mutex_t mutexes[RING];
    static struct pair pairs[RING];
    pthread_barrier_init(&both_hold, NULL, RING);
    for (int i = 0; i < RING; i++) {
        pthread_mutex_init(&mutexes[i], NULL);
        pairs[i] = (struct pair){&mutexes[i], &mutexes[(i + 1) % RING]};
    }
    for (int i = 0; i < RING; i++)
        start("ring", take_two, &pairs[i]);
}

static void *take_twice(void *mutex)
{
    pthread_mutex_lock(mutex);
    wait_for_mutex(mutex);
    return NULL;
}

static void self(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    start("twice", take_twice, &mutex);
}

static void abandoned(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    start_and_join(take_and_end, &mutex);
    start("heir-1", wait_for_it, &mutex);
    start("heir-2", wait_for_it, &mutex);
}

// As AB-BA, but it dissolves by itself.
static void *take_two_timed(void *argument)
{
    const struct pair *pair = argument;
    struct timespec deadline;
    pthread_mutex_lock(pair->first);
    pthread_barrier_wait(&both_hold);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += HOUR;
    taskprof_park(TASKPROF_MUTEX_LOCK, pair->second);
    pthread_mutex_timedlock(pair->second, &deadline);
    taskprof_unpark();
    return NULL;
}

static void timed(void)
{
    static struct pair ab = {&left, &right};
    static struct pair ba = {&right, &left};
    pthread_barrier_init(&both_hold, NULL, 2);
    start("timed-1", take_two_timed, &ab);
    start("timed-2", take_two_timed, &ba);
}

// A lock with a holder that is busy elsewhere: no deadlock.
static void held(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_barrier_init(&both_hold, NULL, 2);
    start("holder", take_and_stay, &mutex);
    pthread_barrier_wait(&both_hold);
    start("waiter", wait_for_it, &mutex);
}

static void *take_mtx(void *mutex)
{
    mtx_lock(mutex);
    pthread_barrier_wait(&both_hold);
    pause();
    return NULL;
}

static void *wait_for_mtx(void *mutex)
{
    taskprof_park(TASKPROF_MUTEX_LOCK, mutex);
    mtx_lock(mutex);
    taskprof_unpark();
    return NULL;
}

static void c11(void)
{
    static mtx_t mutex;
    mtx_init(&mutex, mtx_plain);
    pthread_barrier_init(&both_hold, NULL, 2);
    start("holder", take_mtx, &mutex);
    pthread_barrier_wait(&both_hold);
    start("waiter", wait_for_mtx, &mutex);
}

static void *write_and_stay(void *rwlock)
{
    pthread_rwlock_wrlock(rwlock);
    pthread_barrier_wait(&both_hold);
    pause();
    return NULL;
}

static void *read_and_stay(void *rwlock)
{
    pthread_rwlock_rdlock(rwlock);
    pthread_barrier_wait(&both_hold);
    pause();
    return NULL;
}

static void *wait_to_read(void *rwlock)
{
    taskprof_park(TASKPROF_RWLOCK_RLOCK, rwlock);
    pthread_rwlock_rdlock(rwlock);
    taskprof_unpark();
    return NULL;
}

static void *wait_to_write(void *rwlock)
{
    taskprof_park(TASKPROF_RWLOCK_LOCK, rwlock);
    pthread_rwlock_wrlock(rwlock);
    taskprof_unpark();
    return NULL;
}

static void rwlocks(void)
{
    static pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER;
    static pthread_rwlock_t read = PTHREAD_RWLOCK_INITIALIZER;
    pthread_barrier_init(&both_hold, NULL, 4);
    start("writer", write_and_stay, &written);
    start("reader-1", read_and_stay, &read);
    start("reader-2", read_and_stay, &read);
    pthread_barrier_wait(&both_hold);
    start("to-read", wait_to_read, &written);
    start("to-write", wait_to_write, &read);
}

// A mutex of the application's own, whose first words are anything.
static void *wait_for_own(void *object)
{
    char byte;
    taskprof_park(TASKPROF_MUTEX_LOCK, object);
    while (read(STDERR_FILENO, &byte, 1) != 0)
        pause();
    taskprof_unpark();
    return NULL;
}

static void own(void)
{
    // Its third word even is a live thread's id.
    static int odd[16] = {7, 1, 0, 1, 0x1234};
    odd[2] = (int)getpid();
    start("own", wait_for_own, odd);
    start("own", wait_for_own, (void *)16); // nothing is there
}

static bool main_leaves;

static void main_left(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    start("heir", wait_for_it, &mutex);
    main_leaves = true;
}

static void *stay(void *argument)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    _exit(0);
    return argument;
}

static pthread_mutex_t before_fork = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"ab_ba", ab_ba}, {"ring", ring},           {"self", self},       {"abandoned", abandoned},
    {"timed", timed}, {"held", held},           {"rwlocks", rwlocks}, {"c11", c11},
    {"own", own},     {"main_left", main_left},
};

int main(int argc, char **argv)
{
    bool fork_first = argc > 1 && strcmp(argv[1], "fork") == 0;
    if (fork_first) {
        // The child goes on with a lock that says the parent's tid.
        pthread_mutex_lock(&before_fork);
        pid_t child = fork();
        if (child > 0) {
            int status;
            return waitpid(child, &status, 0) == child ? 0 : 2;
        }
    }
    if (taskprof_start(NULL) != 0)
        return 2;
    if (fork_first)
        start("waiter", wait_for_it, &before_fork);
    for (int i = 1; i < argc; i++)
        for (size_t s = 0; s < sizeof(scenarios) / sizeof(scenarios[0]); s++)
            if (strcmp(argv[i], scenarios[s].name) == 0)
                scenarios[s].run();
    printf("%s\n", taskprof_address());
    fflush(stdout);
    if (main_leaves) {
        start("stay", stay, NULL);
        pthread_exit(NULL);
    }
    stay(NULL);
}
