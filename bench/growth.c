// What a snapshot costs, by how many tasks there are, how many different stacks, and how many
// tasks have changed since the last one.
//
//     growth TASKS DISTINCT RUNS

#include "bench/bench.h"
#include "bench/crowd.h"
#include "profiler/snapshot/snapshot.h"

#include <stdio.h>
#include <string.h>

static double snap(size_t tasks, size_t distinct)
{
    struct snapshot *snapshot;
    uint64_t start = clock_monotonic_ns();
    if (snapshot_take(0, 0, &snapshot) < 0)
        bench_fail("no snapshot");
    double took = (double)(clock_monotonic_ns() - start);
    size_t groups = 0;
    for (size_t i = 0; i < snapshot->group_count; i++)
        groups += snapshot->groups[i].activity == TASK_PARKED;
    if (snapshot->coroutines != tasks || snapshot->parked != tasks || snapshot->moved ||
        snapshot->truncated || groups != distinct)
        bench_fail("the snapshot shows %zu of %zu tasks parked, %zu of %zu stacks, %zu truncated",
                   (size_t)snapshot->parked, tasks, groups, distinct, (size_t)snapshot->truncated);
    snapshot_free(snapshot);
    return took;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *key;
        double share;
    } changes[] = {
        {"changed_0_ns", 0}, {"changed_1_ns", 0.01}, {"changed_10_ns", 0.1}, {"changed_100_ns", 1}};
    if (argc != 4)
        bench_fail("usage: growth TASKS DISTINCT RUNS");
    size_t tasks = bench_count(argv[1]);
    size_t distinct = bench_count(argv[2]);
    size_t runs = bench_count(argv[3]);
    struct crowd *crowd = crowd_map(tasks, distinct);
    crowd_park(crowd);
    bench_say("first_ns", snap(tasks, distinct));
    for (size_t i = 0; i < runs; i++)
        for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
            crowd_change(crowd, (size_t)((double)tasks * changes[c].share));
            bench_say(changes[c].key, snap(tasks, distinct));
        }
    return 0;
}
