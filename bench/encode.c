// Encoding and compressing one profile of many groups, from a snapshot that is made up.
//
//     encode GROUPS FRAMES RUNS OUTPUT

#include "bench/bench.h"
#include "profiler/symbols/symbols.h"
#include "proto/pprof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 10000 }; // distinct return addresses in all the stacks

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

// Addresses all over the C library: some thousands of functions with real names.
static void choose_places(const struct snapshot *snapshot, uintptr_t places[PLACES])
{
    for (size_t i = 0; i < snapshot->mapping_count; i++) {
        const struct mapping *mapping = &snapshot->mappings[i];
        if (mapping->start > (uintptr_t)qsort || mapping->limit <= (uintptr_t)qsort)
            continue;
        size_t step = (mapping->limit - mapping->start) / (PLACES + 1);
        for (size_t p = 0; p < PLACES; p++)
            places[p] = mapping->start + (p + 1) * step;
        return;
    }
    bench_fail("the C library is not mapped");
}

static void make_up(struct snapshot *snapshot, size_t groups, unsigned frames)
{
    uintptr_t places[PLACES];
    uintptr_t stack[STACK_DEPTH_MAX];
    choose_places(snapshot, places);
    snapshot->groups = arena_alloc(&snapshot->arena, groups * sizeof(*snapshot->groups));
    if (!snapshot->groups || frames > STACK_DEPTH_MAX)
        bench_fail("no memory for %zu groups", groups);
    snapshot->group_count = groups;
    for (size_t g = 0; g < groups; g++) {
        // Real stacks end in the same few callers; these share less than those would.
        for (unsigned f = 0; f < frames; f++)
            stack[f] = places[random_below(PLACES)];
        struct snapshot_group *group = &snapshot->groups[g];
        *group = (struct snapshot_group){
            .stack = stack_intern(stack, frames, STACK_WHOLE),
            .channel = SNAPSHOT_NO_CHANNEL,
            .activity = TASK_PARKED,
            .reason = TASKPROF_COND_WAIT,
            .count = 1 + random_below(1000),
            .oldest_task = g + 1,
        };
        group->wait_max_ns = random_below((uint64_t)1 << 40);
        group->wait_sum_ns = group->count * group->wait_max_ns;
        snapshot->tasks += group->count;
    }
    snapshot->coroutines = snapshot->parked = snapshot->created = snapshot->tasks;
}

static void encode(const struct snapshot *snapshot, int fd)
{
    char piece[32 * 1024];
    struct pprof_stream *stream;
    if (pprof_goroutine(snapshot, NULL, &stream) < 0)
        bench_fail("no stream");
    ssize_t got;
    while ((got = pprof_read(stream, piece, sizeof(piece))) > 0)
        if (write(fd, piece, (size_t)got) != got)
            bench_fail("a file in memory can't be written");
    if (got < 0)
        bench_fail("encoding failed");
    pprof_free(stream);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_fail("usage: encode GROUPS FRAMES RUNS OUTPUT");
    size_t groups = bench_count(argv[1]);
    unsigned frames = (unsigned)bench_count(argv[2]);
    size_t runs = bench_count(argv[3]);
    struct snapshot *snapshot;
    if (snapshot_take(0, 0, &snapshot) < 0)
        bench_fail("no snapshot");
    snapshot->tasks = snapshot->threads = 0;
    make_up(snapshot, groups, frames);
    bench_say("tasks", (double)snapshot->tasks);
    int fd = bench_memory_file();
    encode(snapshot, fd); // looks every name up: that is another row's
    for (size_t i = 0; i < runs; i++) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            bench_fail("a file in memory can't be emptied");
        uint64_t start = clock_monotonic_ns();
        encode(snapshot, fd);
        bench_say("encode_ns", (double)(clock_monotonic_ns() - start));
    }
    bench_say("bytes", (double)lseek(fd, 0, SEEK_END));
    bench_save(fd, argv[4]);
    snapshot_free(snapshot);
    return 0;
}
