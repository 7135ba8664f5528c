// Running threads are asked for their stacks on request alone; no system call of theirs fails for
// it, and no signal of the application's is taken from it.

#include "profiler/snapshot/ask_signal.h"
#include "profiler/snapshot/snapshot.h"
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SPINNERS = 12, SLEEPERS = 4 };

// The functions that are looked for in stacks stand in a section of their own, whose ends the
// linker knows.
#define LOOKED_FOR __attribute__((noinline, section("looked_for")))
extern const char __start_looked_for[];
extern const char __stop_looked_for[];

static atomic_bool stop;

static bool is_looked_for(stack_id id)
{
    const struct stack *stack = stack_get(id);
    for (unsigned i = 0; i < stack->depth; i++)
        if (stack->frames[i] >= (uintptr_t)__start_looked_for &&
            stack->frames[i] <= (uintptr_t)__stop_looked_for)
            return true;
    return false;
}

// Running tasks with such a function on their stack, and all.
struct running {
    uint64_t here;
    uint64_t all;
};

static struct running take(unsigned flags, uint64_t *ret_answered)
{
    struct snapshot *snapshot = NULL;
    struct running running = {0};
    assert_int_equal(snapshot_take(flags, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        if (group->activity != TASK_RUNNING)
            continue;
        running.all += group->count;
        if (is_looked_for(group->stack)) {
            running.here += group->count;
            assert_int_equal(stack_get(group->stack)->end, STACK_WHOLE);
        }
    }
    if (ret_answered)
        *ret_answered = snapshot->answered;
    snapshot_free(snapshot);
    return running;
}

static atomic_uint errno_changed;

LOOKED_FOR static void spin_here(void)
{
    errno = ERANGE;
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        if (errno != ERANGE)
            atomic_fetch_add(&errno_changed, 1);
    // Not a tail call of anything: the frame stays.
    __asm__ volatile("" ::: "memory");
}

static void *spinner(void *argument)
{
    spin_here();
    return argument;
}

static void start(pthread_t *threads, int count, void *(*run)(void *))
{
    atomic_store(&stop, false);
    for (int i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, NULL), 0);
}

static void end(const pthread_t *threads, int count)
{
    atomic_store(&stop, true);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void spinning_threads_show_their_functions_when_asked_and_only_then(void **state)
{
    pthread_t threads[SPINNERS];
    struct running asked = {0};
    (void)state;
    start(threads, SPINNERS, spinner);
    // Who gets no processor in time does not answer; on a busy machine these are some of them.
    for (int attempt = 0; attempt < 60 && asked.here < SPINNERS / 2; attempt++)
        asked = take(SNAPSHOT_RUNNING, NULL);
    struct running not_asked = take(0, NULL);
    end(threads, SPINNERS);
    assert_in_range(asked.here, SPINNERS / 2, SPINNERS);
    assert_int_equal(not_asked.here, 0);
    assert_true(not_asked.all >= SPINNERS);
    assert_int_equal(errno_changed, 0);
}

static void *spinner_that_blocks_signals(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    spin_here();
    return argument;
}

static void a_thread_that_blocks_signals_is_not_asked(void **state)
{
    pthread_t thread;
    uint64_t answered = 1;
    (void)state;
    start(&thread, 1, spinner_that_blocks_signals);
    struct running running = {0};
    while (running.all < 2) // it, and this one
        running = take(0, NULL);
    running = take(SNAPSHOT_RUNNING, &answered);
    sigset_t pending;
    end(&thread, 1);
    assert_int_equal(running.here, 0);
    sigpending(&pending);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        assert_int_equal(sigismember(&pending, number), 0);
}

static atomic_uint failed_with_eintr;
static atomic_uint calls;

// Alternates between work and each of the calls that a signal would end.
static void *sleeper(void *argument)
{
    unsigned turn = (unsigned)(uintptr_t)&argument >> 12;
    int epoll = epoll_create1(0);
    int pair[2];
    sem_t nothing;
    sem_init(&nothing, 0, 0);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct timeval receive_for = {.tv_usec = 1000};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &receive_for, sizeof(receive_for));
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        turn = turn * 1103515245 + 12345;
        for (volatile unsigned work = turn >> 8 & 0xfffff; work > 0; work--)
            continue;
        struct timespec span = {.tv_nsec = 500000};
        struct epoll_event event;
        char byte;
        long result = 0;
        errno = 0;
        switch (turn >> 28 & 7) {
        case 0:
        case 1:
            result = poll(NULL, 0, 1);
            break;
        case 2:
        case 3:
            result = epoll_wait(epoll, &event, 1, 1);
            break;
        case 4:
            result = nanosleep(&span, NULL);
            break;
        case 5:
            clock_gettime(CLOCK_REALTIME, &span);
            result = sem_timedwait(&nothing, &span);
            break;
        default:
            result = recv(pair[0], &byte, 1, 0);
        }
        atomic_fetch_add(&calls, 1);
        if (result < 0 && errno == EINTR)
            atomic_fetch_add(&failed_with_eintr, 1);
    }
    close(epoll);
    close(pair[0]);
    close(pair[1]);
    return argument;
}

static void no_system_call_fails_because_its_thread_was_asked(void **state)
{
    enum { ANSWERS = 100, SNAPSHOTS = 100 };
    pthread_t threads[SLEEPERS];
    uint64_t sum = 0;
    (void)state;
    start(threads, SLEEPERS, sleeper);
    for (int i = 0; i < SNAPSHOTS || sum < ANSWERS; i++) {
        uint64_t answered;
        take(SNAPSHOT_RUNNING, &answered);
        sum += answered;
    }
    end(threads, SLEEPERS);
    print_message("%llu answers, %u calls\n", (unsigned long long)sum, atomic_load(&calls));
    assert_int_equal(failed_with_eintr, 0);
}

static void theirs(int number)
{
    (void)number;
}

static void a_signal_that_the_application_handles_is_left_to_it(void **state)
{
    pthread_t thread;
    struct running running = {0};
    (void)state;
    // What was taken so far becomes the application's, as does the next one that would be.
    int first = ask_begin(0);
    assert_in_range(first, SIGRTMIN, SIGRTMAX);
    signal(first, theirs);
    signal(first - 1, theirs);
    start(&thread, 1, spinner);
    for (int attempt = 0; attempt < 60 && running.here == 0; attempt++)
        running = take(SNAPSHOT_RUNNING, NULL);
    end(&thread, 1);
    assert_int_equal(running.here, 1);
    for (int number = first - 1; number <= first; number++) {
        struct sigaction now;
        sigaction(number, NULL, &now);
        assert_ptr_equal(now.sa_handler, theirs);
    }
    // With all of them in use there is none for us, and a reason why.
    start(&thread, 1, spinner);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        signal(number, theirs);
    int error = 0;
    for (int attempt = 0; attempt < 1000 && error == 0; attempt++) { // until it runs
        struct snapshot *snapshot = NULL;
        assert_int_equal(snapshot_take(SNAPSHOT_RUNNING, 0, &snapshot), 0);
        error = snapshot->ask_error;
        snapshot_free(snapshot);
    }
    end(&thread, 1);
    assert_int_equal(error, -EBUSY);
}

int main(void)
{
    if (ask_supported() < 0) {
        print_message("before Linux 6.1 nothing is asked\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spinning_threads_show_their_functions_when_asked_and_only_then),
        cmocka_unit_test(a_thread_that_blocks_signals_is_not_asked),
        cmocka_unit_test(no_system_call_fails_because_its_thread_was_asked),
        cmocka_unit_test(a_signal_that_the_application_handles_is_left_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
