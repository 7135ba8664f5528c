// The service's own queue, as many a program has one: a ring, a mutex and two condition variables.
// It shows how a queue that is not taskprof's becomes a channel in the profiles.

#pragma once

#include "order.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <taskprof/taskprof.h>

enum { INTAKE_ROOM = 32 };

struct intake {
    pthread_mutex_t lock; // guards all below
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t length;
    size_t capacity;
    size_t first;
    bool closed;
    struct order ring[INTAKE_ROOM];
    taskprof_queue_handle *profile;
};

// 0 or a negative errno.
int intake_open(struct intake *intake);

// Blocks while it is full. false: it is closed.
bool intake_put(struct intake *intake, const struct order *order);

// Blocks while it is empty. false: it is closed and drained.
bool intake_take(struct intake *intake, struct order *ret_order);

// Takes no more orders; what is in it can still be taken.
void intake_close(struct intake *intake);

// When nobody uses it any more.
void intake_free(struct intake *intake);
