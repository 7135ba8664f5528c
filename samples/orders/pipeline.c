#include "pipeline.h"

#include "intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <taskprof/taskprof.h>

enum { VALIDATORS = 2, PRICERS = 2, SHIPPERS = 1, STAGE_MAX = 2 };

enum { VALIDATED_ROOM = 64, PRICED_ROOM = 16 };

struct stage {
    unsigned size;
    unsigned running;
    pthread_t threads[STAGE_MAX];
};

static struct intake intake;
static taskprof_chan *validated;
static taskprof_chan *priced;
static struct stage validators = {.size = VALIDATORS};
static struct stage pricers = {.size = PRICERS};
static struct stage shippers = {.size = SHIPPERS};
static _Atomic uint64_t shipped;

static void *validate(void *unused)
{
    taskprof_task_begin("validate");
    struct order order;
    while (intake_take(&intake, &order)) {
        if (order.quantity > 0)
            taskprof_chan_send(validated, &order);
    }
    return unused;
}

static void *price(void *unused)
{
    taskprof_task_begin("price");
    struct order order;
    bool more = false;
    while (taskprof_chan_receive(validated, &order, &more) == 0 && more) {
        order.cents = order.quantity * 1999;
        taskprof_chan_send(priced, &order);
    }
    return unused;
}

static void *ship(void *unused)
{
    taskprof_task_begin("ship");
    struct order order;
    bool more = false;
    while (taskprof_chan_receive(priced, &order, &more) == 0 && more)
        atomic_fetch_add(&shipped, 1);
    return unused;
}

static int stage_start(struct stage *stage, void *(*start)(void *))
{
    int error = 0;
    for (; stage->running < stage->size && error == 0; stage->running += error == 0)
        error = taskprof_pthread_create(&stage->threads[stage->running], NULL, start, NULL);
    return -error;
}

static void stage_join(struct stage *stage)
{
    for (; stage->running > 0; stage->running--) {
        pthread_t thread = stage->threads[stage->running - 1];
        taskprof_park(TASKPROF_JOIN, NULL);
        pthread_join(thread, NULL);
        taskprof_unpark();
    }
}

int pipeline_start(void)
{
    int error = intake_open(&intake);
    if (error == 0)
        error = taskprof_chan_make(sizeof(struct order), VALIDATED_ROOM, "validated", &validated);
    if (error == 0)
        error = taskprof_chan_make(sizeof(struct order), PRICED_ROOM, "priced", &priced);
    if (error == 0)
        error = stage_start(&validators, validate);
    if (error == 0)
        error = stage_start(&pricers, price);
    if (error == 0)
        error = stage_start(&shippers, ship);
    return error;
}

bool pipeline_submit(const struct order *order)
{
    return intake_put(&intake, order);
}

uint64_t pipeline_stop(void)
{
    // From the front to the back: when a stage has ended, nobody sends to the next one any more,
    // and its queue may be closed.
    intake_close(&intake);
    stage_join(&validators);
    taskprof_chan_close(validated);
    stage_join(&pricers);
    taskprof_chan_close(priced);
    stage_join(&shippers);
    intake_free(&intake);
    taskprof_chan_free(validated);
    taskprof_chan_free(priced);
    return atomic_load(&shipped);
}
