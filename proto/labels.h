// The labels by which samples can be told apart, filtered and put at the root of a graph. Values
// are few by design: collectors make a series of each.

#pragma once

#include "profiler/snapshot/snapshot.h"
#include "profiler/symbols/origin.h"
#include "proto/places.h"

// A channel's name; of an unnamed one where it was made, as "orders.c:120"; "unnamed" if that is
// not known either. The result is the name itself, or text made up in `room`.
const char *label_channel(const struct places *places, const char *name, stack_id creation,
                          char room[ORIGIN_PLACE_MAX]);

// The function that created a task: the first of its creation stack that is not one of taskprof's
// own or pthread_create. NULL: not known.
const char *label_created_by(const struct places *places, stack_id creation,
                             char room[ORIGIN_PLACE_MAX]);
