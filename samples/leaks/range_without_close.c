// range-without-close: a worker takes parcels until the channel is closed, and nobody closes it.

#include "leaks.h"

enum { PARCELS = 3 };

SEEN_IN_STACKS static unsigned ship_all(taskprof_chan *parcels)
{
    unsigned shipped = 0;
    int parcel;
    bool more = false;
    while (taskprof_chan_receive(parcels, &parcel, &more) == 0 && more)
        shipped++;
    return shipped;
}

static void *ship_parcels(void *argument)
{
    taskprof_chan *parcels = argument;
    taskprof_task_set_name(taskprof_task_self(), "ships parcels");
    ship_all(parcels);
    taskprof_chan_free(parcels);
    return NULL;
}

static int start_shipping(taskprof_chan **ret_parcels)
{
    taskprof_chan *parcels;
    int error = taskprof_chan_make(sizeof(int), 0, "parcels", &parcels);
    if (error < 0)
        return error;
    error = spawn(ship_parcels, parcels);
    if (error < 0) {
        taskprof_chan_free(parcels);
        return error;
    }
    for (int parcel = 0; parcel < PARCELS; parcel++)
        taskprof_chan_send(parcels, &parcel);
    *ret_parcels = parcels;
    return 0;
}

static int leaky(void)
{
    taskprof_chan *parcels;
    return start_shipping(&parcels); // the leak: all is sent, and `parcels` just forgotten
}

static int fixed(void)
{
    taskprof_chan *parcels;
    int error = start_shipping(&parcels);
    if (error == 0)
        taskprof_chan_close(parcels); // whoever sends last closes
    return error;
}

const struct pattern pattern_range_without_close = {
    .name = "range-without-close",
    .story = "a worker ranges over a channel; the producer is done and never closes it",
    .waits = "ship_all",
    .reason = "chan receive",
    .channel = "parcels",
    .tasks = 1,
    .leaky = leaky,
    .fixed = fixed,
};
