#include "load.h"

#include "pipeline.h"

#include <pthread.h>

enum { ORDERS_PER_SECOND = 200 };

static pthread_t thread;

static void *generate(void *argument)
{
    taskprof_chan *stop = argument;
    taskprof_task_begin("load");
    struct order order = {0};
    do {
        order.number++;
        order.quantity = (uint32_t)(order.number % 5); // every fifth is refused
        if (!pipeline_submit(&order))
            break;
        // Nothing is ever sent on `stop`: the receive times out until it is closed.
    } while (taskprof_chan_timed_receive(stop, NULL, NULL, 1000000000 / ORDERS_PER_SECOND) != 0);
    return NULL;
}

int load_start(taskprof_chan *stop)
{
    return -taskprof_pthread_create(&thread, NULL, generate, stop);
}

void load_join(void)
{
    taskprof_park(TASKPROF_JOIN, NULL);
    pthread_join(thread, NULL);
    taskprof_unpark();
}
