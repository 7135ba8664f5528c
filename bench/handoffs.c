// What parks cost in hand-offs between two threads, on one processor and on two.
//
//     handoffs RUNS

#include "bench/bench.h"
#include "bench/handoff.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum {
    HANDOFFS = 250, // a block: some milliseconds, in which a machine mostly stays as it is
    BLOCKS = 150,   // of each kind, a run
};

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

// A dump taken while the hand-off that is measured waits shows it, on the side that waits: the
// giver gives, and nobody takes until the dump was seen.
static void *give_one(void *kind)
{
    ((const struct handoff_kind *)kind)->give(7);
    return NULL;
}

static bool shows_giver(void)
{
    char text[65536];
    int fd = bench_memory_file();
    int result = taskprof_write(fd, "goroutine", "debug=2");
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
    close(fd);
    if (result < 0 || length <= 0)
        bench_fail("no dump");
    text[length] = '\0';
    return strstr(text, "[chan send labels:") && strstr(text, "give_one");
}

static void check(const struct handoff_kind *kind)
{
    pthread_t giver;
    if (pthread_create(&giver, NULL, give_one, (void *)kind) != 0)
        bench_fail("no thread");
    uint64_t deadline = clock_monotonic_ns() + 10000000000;
    while (!shows_giver())
        if (clock_monotonic_ns() > deadline)
            bench_fail("%s: a hand-off that waits was not seen in a dump", kind->name);
    if (kind->take() != 7)
        bench_fail("%s: what was taken is not what was given", kind->name);
    pthread_join(giver, NULL);
}

// Threads of the lowest class keep processors from idling. Waking an idle one costs, in a virtual
// machine, many times what all else in a hand-off does, and never the same: what is asked for here
// would drown in it.
static _Atomic bool rest;

static void *keep_awake(void *cpu)
{
    bench_pin((unsigned)(uintptr_t)cpu);
    struct sched_param lowest = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &lowest) != 0)
        bench_fail("no thread of the idle class");
    while (!atomic_load_explicit(&rest, memory_order_relaxed))
        ;
    return NULL;
}

static void run(const char *where)
{
    static const struct handoff_kind *const kinds[] = {&handoff_plain, &handoff_parks,
                                                       &handoff_chan};
    enum { PLAIN, WITH_PARKS, CHAN, KINDS };
    double took[KINDS][BLOCKS];
    char key[64];
    for (int i = 0; i < BLOCKS; i++) {
        // In turns, and there and back: none always runs behind the same other, and a block with
        // parks stands right beside the one without that it is compared with.
        for (int k = 0; k < KINDS; k++) {
            int turn = i % 2 ? KINDS - 1 - k : k;
            took[turn][i] = block(kinds[turn]);
        }
        snprintf(key, sizeof(key), "%s_slower_percent", where);
        bench_say(key, 100 * (took[WITH_PARKS][i] / took[PLAIN][i] - 1));
    }
    for (int k = 0; k < KINDS; k++) {
        snprintf(key, sizeof(key), "%s_%s_ns", where, kinds[k]->name);
        bench_say(key, bench_median(took[k], BLOCKS));
    }
}

static void run_on_two(void)
{
    pthread_t awake[2];
    atomic_store(&rest, false);
    for (uintptr_t cpu = 0; cpu < 2; cpu++)
        if (pthread_create(&awake[cpu], NULL, keep_awake, (void *)cpu) != 0)
            bench_fail("no thread");
    meeting.cpu = 1;
    run("two_cpus");
    atomic_store(&rest, true);
    for (int cpu = 0; cpu < 2; cpu++)
        pthread_join(awake[cpu], NULL);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_fail("usage: handoffs RUNS");
    size_t runs = bench_count(argv[1]);
    bench_pin(0);
    handoff_chan_make();
    check(&handoff_parks);
    check(&handoff_chan);
    pthread_t taker;
    if (pthread_barrier_init(&meeting.begin, NULL, 2) != 0 ||
        pthread_barrier_init(&meeting.end, NULL, 2) != 0 ||
        pthread_create(&taker, NULL, take, NULL) != 0)
        bench_fail("no thread");
    // Warm: the first park of a thread registers it.
    block(&handoff_parks);
    block(&handoff_chan);
    for (size_t i = 0; i < runs; i++) {
        meeting.cpu = 0;
        run("one_cpu");
        if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
            run_on_two();
    }
    meeting.kind = NULL;
    pthread_barrier_wait(&meeting.begin);
    pthread_join(taker, NULL);
    return 0;
}
