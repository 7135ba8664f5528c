// A crowd of coroutines, all parked on one channel, each on a stack of its own that is seven
// functions deep.

#pragma once

#include <stddef.h>

enum {
    CROWD_DEPTH = 7,
    CROWD_DISTINCT_MAX = 1024, // stacks that differ: five functions with four call sites each
};

struct crowd;

// Maps the stacks of `count` coroutines and touches what of them will be used. They do not exist
// yet: what they cost from here on is not their stacks'. `distinct` is how many stacks differ.
struct crowd *crowd_map(size_t count, size_t distinct);

// Registers all of them and runs each until it is parked.
void crowd_park(struct crowd *crowd);

// Lets the first `count` of them go on: each unparks, and parks again in the same place.
void crowd_change(struct crowd *crowd, size_t count);
