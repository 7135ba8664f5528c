#include "bench/bench.h"
#include "bench/handoff.h"

#include <taskprof/taskprof.h>

static taskprof_chan *channel;

void handoff_chan_make(void)
{
    if (taskprof_chan_make(sizeof(uint64_t), 0, "handoff", &channel) < 0)
        bench_fail("no memory for a channel");
}

static void give(uint64_t number)
{
    if (taskprof_chan_send(channel, &number) < 0)
        bench_fail("a send failed");
}

static uint64_t take(void)
{
    uint64_t number;
    if (taskprof_chan_receive(channel, &number, NULL) < 0)
        bench_fail("a receive failed");
    return number;
}

const struct handoff_kind handoff_chan = {"chan", give, take};
