// Blocking hand-offs of one number from a thread to another: the giver waits until it is taken.

#pragma once

#include <stdint.h>

struct handoff_kind {
    const char *name;
    void (*give)(uint64_t number);
    uint64_t (*take)(void);
};

// The same source, handoff.c, compiled without and with parks.
extern const struct handoff_kind handoff_plain;
extern const struct handoff_kind handoff_parks;

// An unbuffered taskprof_chan.
extern const struct handoff_kind handoff_chan;
void handoff_chan_make(void);
