#include "leaks.h"

#include "options.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

// One pattern at work.
struct leak {
    const struct pattern *pattern; // NULL: not switched on
    atomic_uint rounds;            // that came to what the pattern is about
};

static struct leak leaks[PATTERNS_MAX];
static struct options settings;
static taskprof_chan *stopped;  // closed when the program is to end
static taskprof_chan *all_done; // closed by the last leaking task
static atomic_uint at_work;     // leaking tasks, and one for leaks_start itself

static void one_done(bool reached_count)
{
    if (atomic_fetch_sub(&at_work, 1) != 1)
        return;
    if (reached_count)
        leaks_report();
    taskprof_chan_close(all_done);
}

// Waits for the next round. false: the program ends.
static bool next_round(void)
{
    int64_t interval_ns = (int64_t)(1e9 / settings.rate);
    return taskprof_chan_timed_receive(stopped, NULL, NULL, interval_ns) != 0;
}

static void *leak_at_a_rate(void *argument)
{
    struct leak *leak = argument;
    taskprof_task_set_name(taskprof_task_self(), "leaks");
    int (*round)(void) = settings.fixed ? leak->pattern->fixed : leak->pattern->leaky;
    bool reached_count = false;
    while (!reached_count && next_round()) {
        if (round() == 0)
            reached_count = atomic_fetch_add(&leak->rounds, 1) + 1 == settings.count;
    }
    one_done(reached_count);
    return NULL;
}

int leaks_start(const struct options *options, taskprof_chan *stop)
{
    settings = *options;
    stopped = stop;
    int error = taskprof_chan_make(0, 0, "leaks done", &all_done);
    if (error < 0)
        return error;
    atomic_store(&at_work, 1);
    bool any = false;
    for (unsigned i = 0; i < options->patterns->count && error == 0; i++) {
        if (!options->chosen[i])
            continue;
        leaks[i].pattern = options->patterns->list[i];
        atomic_fetch_add(&at_work, 1);
        error = spawn(leak_at_a_rate, &leaks[i]);
        if (error < 0)
            atomic_fetch_sub(&at_work, 1);
        any = true;
    }
    one_done(any && settings.count);
    return error;
}

void leaks_wait(void)
{
    taskprof_chan_receive(all_done, NULL, NULL);
}

void leaks_report(void)
{
    for (unsigned i = 0; i < PATTERNS_MAX; i++) {
        const struct pattern *pattern = leaks[i].pattern;
        if (!pattern)
            continue;
        unsigned rounds = settings.fixed ? 0 : atomic_load(&leaks[i].rounds);
        const char *channel = pattern->channel ? pattern->channel : "-";
        if (pattern->earlier)
            printf("misused %s %u times in %s [%s] on %s closed in %s\n", pattern->name, rounds,
                   pattern->waits, pattern->reason, channel, pattern->earlier);
        else
            printf("leaked %s %u tasks in %s [%s] on %s\n", pattern->name, rounds * pattern->tasks,
                   pattern->waits, pattern->reason, channel);
    }
    fflush(stdout);
}
