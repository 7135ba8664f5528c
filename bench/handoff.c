// A hand-off by a mutex and two condition variables. Compiled twice: with PARKS, each wait is a
// park, as <taskprof/park.h> shows it; that is all the difference.

#include "bench/handoff.h"

#include <pthread.h>
#include <stdbool.h>
#include <taskprof/park.h>

#ifdef PARKS
#define KIND         handoff_parks
#define NAME         "parks"
#define PARK(reason) taskprof_park(reason, &place)
#define UNPARK()     taskprof_unpark()
#else
#define KIND         handoff_plain
#define NAME         "plain"
#define PARK(reason) ((void)0)
#define UNPARK()     ((void)0)
#endif

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_cond_t taken;
    bool full;
    uint64_t number;
} place = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .filled = PTHREAD_COND_INITIALIZER,
           .taken = PTHREAD_COND_INITIALIZER};

static void give(uint64_t number)
{
    pthread_mutex_lock(&place.lock);
    place.number = number;
    place.full = true;
    pthread_cond_signal(&place.filled);
    PARK(TASKPROF_CHAN_SEND);
    while (place.full)
        pthread_cond_wait(&place.taken, &place.lock);
    UNPARK();
    pthread_mutex_unlock(&place.lock);
}

static uint64_t take(void)
{
    pthread_mutex_lock(&place.lock);
    if (!place.full) {
        PARK(TASKPROF_CHAN_RECEIVE);
        while (!place.full)
            pthread_cond_wait(&place.filled, &place.lock);
        UNPARK();
    }
    uint64_t number = place.number;
    place.full = false;
    pthread_cond_signal(&place.taken);
    pthread_mutex_unlock(&place.lock);
    return number;
}

const struct handoff_kind KIND = {NAME, give, take};
