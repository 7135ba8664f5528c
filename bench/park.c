// What a park costs: by itself, and in hand-offs between two threads.
//
//     park RUNS

#include "bench/bench.h"
#include "bench/handoff.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum {
    PARKS = 2000000, // a run
    HANDOFFS = 2000, // a block
    BLOCKS = 20,     // of each kind, a run
};

static int object;

static void run_parks(void)
{
    uint64_t start = clock_monotonic_ns();
    for (int i = 0; i < PARKS; i++) {
        taskprof_park(TASKPROF_COND_WAIT, &object);
        taskprof_unpark();
    }
    bench_say("park_ns", (double)(clock_monotonic_ns() - start) / PARKS);
    uint64_t last = 0;
    start = clock_monotonic_ns();
    for (int i = 0; i < PARKS; i++)
        last += clock_monotonic_ns();
    __asm__ volatile("" ::"r"(last));
    bench_say("clock_ns", (double)(clock_monotonic_ns() - start) / PARKS);
}

// The parks that are measured are real: one of them is seen from outside.
static void check_park(void)
{
    char text[65536];
    int fd = bench_memory_file();
    taskprof_park(TASKPROF_COND_WAIT, &object);
    int result = taskprof_write(fd, "goroutine", "debug=2");
    taskprof_unpark();
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
    if (result < 0 || length <= 0)
        bench_fail("the dump that would show the park is not there");
    text[length] = '\0';
    if (!strstr(text, "[sync.Cond.Wait labels:") || !strstr(text, "check_park"))
        bench_fail("a park was not seen in a dump");
    close(fd);
}

// Two threads that meet before each block, so that both are there when its clock starts.
static struct {
    pthread_barrier_t begin;
    pthread_barrier_t end;
    const struct handoff_kind *kind; // NULL: it is over
    unsigned cpu;
} meeting;

static void *take(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_barrier_wait(&meeting.begin);
        const struct handoff_kind *kind = meeting.kind;
        if (!kind)
            return NULL;
        bench_pin(meeting.cpu);
        uint64_t sum = 0;
        for (uint64_t i = 0; i < HANDOFFS; i++)
            sum += kind->take();
        if (sum != (uint64_t)HANDOFFS * (HANDOFFS - 1) / 2)
            bench_fail("%s: what was taken is not what was given", kind->name);
        pthread_barrier_wait(&meeting.end);
    }
}

static double block(const struct handoff_kind *kind)
{
    meeting.kind = kind;
    pthread_barrier_wait(&meeting.begin);
    uint64_t start = clock_monotonic_ns();
    for (uint64_t i = 0; i < HANDOFFS; i++)
        kind->give(i);
    pthread_barrier_wait(&meeting.end);
    return (double)(clock_monotonic_ns() - start) / HANDOFFS;
}

static void run_handoffs(const char *where)
{
    static const struct handoff_kind *const kinds[] = {&handoff_plain, &handoff_parks,
                                                       &handoff_chan};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    double took[KINDS][BLOCKS];
    char key[64];
    for (int i = 0; i < BLOCKS; i++)
        // In turns, and there and back: none always runs behind the same other.
        for (int k = 0; k < KINDS; k++) {
            int turn = i % 2 ? KINDS - 1 - k : k;
            took[turn][i] = block(kinds[turn]);
        }
    for (int k = 0; k < KINDS; k++) {
        snprintf(key, sizeof(key), "%s_%s_ns", where, kinds[k]->name);
        bench_say(key, bench_median(took[k], BLOCKS));
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_fail("usage: park RUNS");
    size_t runs = bench_count(argv[1]);
    bench_pin(0);
    handoff_chan_make();
    check_park();
    pthread_t taker;
    if (pthread_barrier_init(&meeting.begin, NULL, 2) != 0 ||
        pthread_barrier_init(&meeting.end, NULL, 2) != 0 ||
        pthread_create(&taker, NULL, take, NULL) != 0)
        bench_fail("no thread");
    // Warm: the first park of a thread registers it.
    block(&handoff_parks);
    block(&handoff_chan);
    for (size_t i = 0; i < runs; i++) {
        run_parks();
        meeting.cpu = 0;
        run_handoffs("one_cpu");
        if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
            meeting.cpu = 1;
            run_handoffs("two_cpus");
        }
    }
    meeting.kind = NULL;
    pthread_barrier_wait(&meeting.begin);
    pthread_join(taker, NULL);
    return 0;
}
