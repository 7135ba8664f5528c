// What a park costs by itself, and while another task parks on another processor.
//
//     park RUNS

#include "bench/bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum {
    PARKS = 2000000, // a run
    BLOCK = 20000,   // parks between two changes of what the other processor does
    BLOCKS = 50,     // of each kind, a run
};

static int object;

static void park_often(int count)
{
    for (int i = 0; i < count; i++) {
        taskprof_park(TASKPROF_COND_WAIT, &object);
        taskprof_unpark();
    }
}

// Processor time, so that what else runs on the machine is left out.
static uint64_t processor_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void run_parks(void)
{
    uint64_t start = processor_ns();
    park_often(PARKS);
    bench_say("park_ns", (double)(processor_ns() - start) / PARKS);
    uint64_t last = 0;
    start = processor_ns();
    for (int i = 0; i < PARKS; i++)
        last += clock_monotonic_ns();
    __asm__ volatile("" ::"r"(last));
    bench_say("clock_ns", (double)(processor_ns() - start) / PARKS);
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

// Between two barriers the neighbour parks on its processor until it is told to stop.
static struct {
    pthread_barrier_t begin;
    pthread_barrier_t end;
    _Atomic bool stop;
    _Atomic uint64_t blocks;
    bool over; // set before `begin`
} neighbour;

static void *be_neighbour(void *unused)
{
    (void)unused;
    bench_pin(1);
    check_park();
    for (;;) {
        pthread_barrier_wait(&neighbour.begin);
        if (neighbour.over)
            return NULL;
        while (!atomic_load(&neighbour.stop)) {
            park_often(BLOCK / 20);
            atomic_fetch_add(&neighbour.blocks, 1);
        }
        pthread_barrier_wait(&neighbour.end);
    }
}

static double block_ns(void)
{
    uint64_t start = processor_ns();
    park_often(BLOCK);
    return (double)(processor_ns() - start) / BLOCK;
}

static double block_beside_ns(void)
{
    atomic_store(&neighbour.stop, false);
    pthread_barrier_wait(&neighbour.begin);
    uint64_t before = atomic_load(&neighbour.blocks);
    while (atomic_load(&neighbour.blocks) == before) // it runs
        ;
    double took = block_ns();
    atomic_store(&neighbour.stop, true);
    pthread_barrier_wait(&neighbour.end);
    return took;
}

static void run_beside(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        // There and back: neither always runs behind the other.
        double alone = i % 2 ? 0 : block_ns();
        double beside = block_beside_ns();
        if (i % 2)
            alone = block_ns();
        bench_say("alone_ns", alone);
        bench_say("beside_ns", beside);
        bench_say("beside_ratio", beside / alone);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        bench_fail("usage: park RUNS");
    size_t runs = bench_count(argv[1]);
    bool two = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    pthread_t thread;
    bench_pin(0);
    check_park();
    if (two && (pthread_barrier_init(&neighbour.begin, NULL, 2) != 0 ||
                pthread_barrier_init(&neighbour.end, NULL, 2) != 0 ||
                pthread_create(&thread, NULL, be_neighbour, NULL) != 0))
        bench_fail("no thread");
    for (size_t i = 0; i < runs; i++) {
        run_parks();
        if (two)
            run_beside();
    }
    if (two) {
        neighbour.over = true;
        pthread_barrier_wait(&neighbour.begin);
        pthread_join(thread, NULL);
    }
    return 0;
}
