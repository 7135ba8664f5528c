// The service itself: intake → validate → price → ship, a few threads a stage, a queue between each
// two. None of it leaks: in every profile it is what a healthy service looks like.

#pragma once

#include "order.h"

#include <stdbool.h>
#include <stdint.h>

// Starts the stages. 0 or a negative errno.
int pipeline_start(void);

// Hands in an order; blocks while the service is behind. false: it takes none any more.
bool pipeline_submit(const struct order *order);

// Refuses new orders, works off those that are in, and ends every thread of it. Returns how many
// orders were shipped since the start.
uint64_t pipeline_stop(void);
