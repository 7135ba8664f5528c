// The lines of the channel table. Channels of one class (the same name, or unnamed and made at the
// same place) have a few rows, then one line of sums for all the others: a service with a channel
// for each request has thousands that look alike.

#pragma once

#include "profiler/snapshot/snapshot.h"
#include "text/filter.h"

// Those of a class that have no row.
struct fold_rest {
    uint32_t first; // index in snapshot->channels of one of them
    uint64_t channels;
    uint64_t senders;
    uint64_t receivers;
    uint64_t wait_max_ns;
};

struct fold_line {
    bool is_rest;
    uint32_t index; // in snapshot->channels, or in `rests`
    uint32_t kin;   // what it is alike with
};

// In the snapshot's arena.
struct fold {
    struct fold_line *lines; // those alike together, most waiters first, then longest waits
    size_t line_count;
    struct fold_rest *rests;
    size_t rest_count;
    uint64_t folded;   // channels in `rests`
    uint64_t excluded; // channels, by channel=
};

// At most filter->limit rows of a class; the line of sums stands behind them. Channels
// without a class, for which its table had no room, are never folded. 0 or -ENOMEM.
int fold_channels(struct snapshot *snapshot, const struct filter *filter, struct fold *ret);
