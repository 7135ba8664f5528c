// What a bounded table may hold, and what a reader is told when it was not enough.
//
// taskprof lives in processes that run for a year: no table of it grows for ever. Each has a
// budget. What nothing refers to any more makes room (base/intern.h turns to a new generation,
// others evict); what is left out all the same is counted here, and every dump says so under
// "missing:".

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    const char *what; // "stacks": what is kept; static
    const char *loss; // "their tasks are shown without frames": what a reader misses; static
    size_t limit;     // bytes
    _Atomic uint64_t left_out;      // ever
    _Atomic uint64_t last_left_out; // CLOCK_MONOTONIC_COARSE, ns; 0: never
    // Others of which something was left out. Written once, before this one is listed.
    struct budget *next;
    _Atomic bool listed;
};

#define BUDGET_INIT(what_, loss_, limit_)                   \
    {                                                       \
        .what = (what_), .loss = (loss_), .limit = (limit_) \
    }

// Something has no room. Any thread, async-signal-safe.
void budget_leave_out(struct budget *budget);

// What a reader is told.
struct budget_report {
    const struct budget *budget;
    uint64_t left_out;      // ever
    uint64_t last_left_out; // CLOCK_MONOTONIC, ns
};

// Says so in a sentence that begins with "missing: ", without its full stop. `now`:
// CLOCK_MONOTONIC.
struct buffer;
void budget_write(struct buffer *out, const struct budget_report *report, uint64_t now);

// The tables of which something was left out in the last day, at most `max` of them. How many.
enum { BUDGET_REPORTS = 16 };
size_t budget_reports(struct budget_report *into, size_t max);
