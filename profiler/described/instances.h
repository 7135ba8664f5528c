// Queues that were found in memory by their description: channels of the registry from then on.

#pragma once

#include "profiler/base/budget.h"
#include "profiler/channels/inquiry.h"
#include "profiler/described/layout.h"

extern struct budget instances_budget; // of their readings

// The queue at `base`, made a channel if it is none yet. `layout` must stay valid for ever. false:
// there are too many, or there is no memory. Only for the types thread.
bool instances_get(const struct layout *layout, uintptr_t base, uint32_t *ret_slot,
                   uint64_t *ret_id);

// Reads each anew, and takes out what can't be such a queue any more, and what nobody has waited on
// for a minute and some snapshots. Under the collector's lock.
void instances_sweep(void);

// Takes out all. Only while nobody else calls any of these.
void instances_end_all(void);

void instances_after_fork(void);
