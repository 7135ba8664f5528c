// Creates, parks, wakes and ends tasks by the ten thousand, then waits for SIGTERM: what is left
// then is known, so that a test can compare what scrapers saw with the truth.
//
//     churn ROUNDS
//
// Prints "ready URL", and "done: N tasks created, 7 left in stay_behind" at the end of the rounds.

#include <taskprof/taskprof.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHURNERS = 3, LEFT = 7, COROUTINES_A_ROUND = 8, STACK = 16384 };

static taskprof_chan *never;

static __attribute__((noinline)) void *stay_behind(void *unused)
{
    taskprof_chan_receive(never, NULL, NULL);
    return unused;
}

static void *answer(void *channel)
{
    int value;
    bool ok;
    while (taskprof_chan_receive(channel, &value, &ok) == 0 && ok)
        ;
    return NULL;
}

// A thread that serves a channel, is sent to, sees it closed, and ends.
static void one_thread(void)
{
    taskprof_chan *channel;
    pthread_t thread;
    if (taskprof_chan_make(sizeof(int), 0, "short-lived", &channel) < 0)
        abort();
    if (taskprof_pthread_create(&thread, NULL, answer, channel) != 0)
        abort();
    for (int i = 0; i < 3; i++)
        if (taskprof_chan_send(channel, &i) < 0)
            abort();
    taskprof_chan_close(channel);
    pthread_join(thread, NULL);
    if (taskprof_chan_free(channel) < 0)
        abort();
}

// Coroutines that come and go with their stacks.
static void some_coroutines(void)
{
    for (int i = 0; i < COROUTINES_A_ROUND; i++) {
        char *stack = malloc(STACK);
        struct taskprof_coroutine description = {
            .size = sizeof(description), .name = "brief", .stack_low = stack, .stack_size = STACK};
        taskprof_task *task;
        if (!stack || taskprof_coroutine_begin(&description, &task) < 0)
            abort();
        taskprof_task_park(task, TASKPROF_SEMACQUIRE, stack);
        if (i % 2)
            taskprof_task_unpark(task);
        taskprof_coroutine_end(task);
        free(stack);
    }
}

static void *churn(void *rounds)
{
    for (long i = 0; i < *(long *)rounds; i++) {
        one_thread();
        some_coroutines();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long rounds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (rounds <= 0) {
        fprintf(stderr, "usage: churn ROUNDS\n");
        return 2;
    }
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = "127.0.0.1:0";
    if (taskprof_start(&options) < 0) {
        fprintf(stderr, "churn: %s\n", taskprof_start_error());
        return 1;
    }
    if (taskprof_chan_make(0, 0, "never", &never) < 0)
        return 1;
    printf("ready http://%s/debug/pprof/\n", taskprof_address());
    fflush(stdout);
    pthread_t left[LEFT], churners[CHURNERS];
    for (int i = 0; i < LEFT; i++)
        taskprof_pthread_create(&left[i], NULL, stay_behind, NULL);
    for (int i = 0; i < CHURNERS; i++)
        taskprof_pthread_create(&churners[i], NULL, churn, &rounds);
    for (int i = 0; i < CHURNERS; i++)
        pthread_join(churners[i], NULL);
    printf("done: %ld tasks created, %d left in stay_behind\n",
           CHURNERS * rounds * (1 + COROUTINES_A_ROUND) + LEFT + CHURNERS, LEFT);
    fflush(stdout);
    int signal_number;
    sigwait(&end, &signal_number);
    taskprof_chan_close(never);
    for (int i = 0; i < LEFT; i++)
        pthread_join(left[i], NULL);
    return taskprof_stop() == 0 ? 0 : 1;
}
