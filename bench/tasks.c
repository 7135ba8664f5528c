// Profiles of a crowd of parked coroutines; goroutines/main.go does the same in Go.
//
//     tasks COUNT profile OUTPUT    the first profile (debug=0) and the next ones
//     tasks COUNT dump OUTPUT       the full text dump (debug=2)
//
// The first ones are those of a process that has been up for a while: its symbols were read in the
// background. With TASKPROF_WARM_UP=off they are read when the first profile asks for them.

#include "bench/bench.h"
#include "bench/crowd.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <time.h>
#include <unistd.h>

enum { NEXT_PROFILES = 3 };

enum phase { IDLE, WITHOUT, DURING, PHASES };
static _Atomic int phase;
static _Atomic uint64_t longest_gap[PHASES];

static void note_gap(int in, uint64_t gap)
{
    if (gap > atomic_load_explicit(&longest_gap[in], memory_order_relaxed))
        atomic_store_explicit(&longest_gap[in], gap, memory_order_relaxed);
}

// A thread with work to do: what keeps it from its clock keeps it from its work.
static void *spin(void *unused)
{
    (void)unused;
    bench_pin(1);
    int last_phase = IDLE;
    uint64_t last = clock_monotonic_ns();
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        int now_phase = atomic_load(&phase);
        // A gap that begins or ends in a phase belongs to it.
        note_gap(last_phase, now - last);
        note_gap(now_phase, now - last);
        last_phase = now_phase;
        last = now;
    }
    return NULL;
}

static void start_spinner(void)
{
    pthread_t thread;
    if (taskprof_pthread_create(&thread, NULL, spin, NULL) != 0)
        bench_fail("no thread");
}

static void wait_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                                 .tv_nsec = (long)(ns % 1000000000u)},
              NULL);
}

// Writes a goroutine profile, with the spinner watched; then watches it as long without.
static uint64_t watched_write(int fd, const char *query)
{
    atomic_store(&longest_gap[DURING], 0);
    atomic_store(&longest_gap[WITHOUT], 0);
    uint64_t start = clock_monotonic_ns();
    atomic_store(&phase, DURING);
    int result = taskprof_write(fd, "goroutine", query);
    atomic_store(&phase, IDLE);
    uint64_t took = clock_monotonic_ns() - start;
    if (result < 0)
        bench_fail("taskprof_write: %s", taskprof_error_text(result));
    wait_ns(10000000);
    atomic_store(&phase, WITHOUT);
    wait_ns(took);
    atomic_store(&phase, IDLE);
    wait_ns(10000000);
    bench_say("stall_during_ns", (double)atomic_load(&longest_gap[DURING]));
    bench_say("stall_without_ns", (double)atomic_load(&longest_gap[WITHOUT]));
    return took;
}

static void profile(struct crowd *crowd, size_t count, const char *output, size_t rss_before)
{
    char path[4096];
    int fd = bench_memory_file();
    crowd_park(crowd);
    bench_say("first_ns", (double)watched_write(fd, "debug=0"));
    bench_say("bytes_a_task", ((double)bench_rss() - (double)rss_before) / (double)count);
    snprintf(path, sizeof(path), "%s.first", output);
    bench_save(fd, path);
    for (int i = 0; i < NEXT_PROFILES; i++) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            bench_fail("a file in memory can't be emptied");
        uint64_t start = clock_monotonic_ns();
        int result = taskprof_write(fd, "goroutine", "debug=0");
        bench_say("next_ns", (double)(clock_monotonic_ns() - start));
        if (result < 0)
            bench_fail("taskprof_write: %s", taskprof_error_text(result));
    }
    snprintf(path, sizeof(path), "%s.next", output);
    bench_save(fd, path);
}

static void dump(struct crowd *crowd, const char *output)
{
    static const char *const keys[][2] = {{"dump_ns", "dump_extra_bytes"},
                                          {"dump_again_ns", "dump_again_extra_bytes"}};
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_fail("%s can't be written", output);
    crowd_park(crowd);
    for (int i = 0; i < 2; i++) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            bench_fail("%s can't be emptied", output);
        size_t before = bench_rss();
        bench_reset_peak();
        bench_say(keys[i][0], (double)watched_write(fd, "debug=2"));
        bench_say(keys[i][1], (double)bench_peak_rss() - (double)before);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[2], "profile") != 0 && strcmp(argv[2], "dump") != 0))
        bench_fail("usage: tasks COUNT profile|dump OUTPUT");
    size_t count = bench_count(argv[1]);
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = "127.0.0.1:0";
    if (taskprof_start(&options) < 0)
        bench_fail("%s", taskprof_start_error());
    bench_wait_until_warm();
    start_spinner();
    bench_pin(0);
    struct crowd *crowd = crowd_map(count, 1);
    size_t before = bench_rss();
    if (strcmp(argv[2], "profile") == 0)
        profile(crowd, count, argv[3], before);
    else
        dump(crowd, argv[3]);
    _exit(0); // the spinner never ends
}
