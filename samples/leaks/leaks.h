// Ways to leak a task, each beside its corrected twin.
//
// The same code runs on threads (samples/orders) and on coroutines (samples/fibers): a program
// brings the two functions at the end of this file, and taskprof's channels do the rest.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <taskprof/taskprof.h>

// One way to leak. The fields in the middle are the truth that a profile must agree with.
struct pattern {
    const char *name;    // what --leak takes
    const char *story;   // a line for --list
    const char *waits;   // the function in which the leaked tasks wait, or the misuse happens
    const char *reason;  // why they wait, as profiles say it; or what the misuse was
    const char *channel; // the name of the channel concerned; NULL: none
    const char *earlier; // of a misuse: the function that closed the channel first; else NULL
    unsigned tasks;      // how many tasks one round leaks
    int (*leaky)(void);  // one round of it; 0, or a negative errno when it did not come to a leak
    int (*fixed)(void);  // the same work, done right
};

extern const struct pattern pattern_early_return;
extern const struct pattern pattern_timeout_abandons_sender;
extern const struct pattern pattern_range_without_close;
extern const struct pattern pattern_consumer_pool;
extern const struct pattern pattern_stream_not_half_closed; // needs threads: it blocks in read
extern const struct pattern pattern_cancel_not_heard;
extern const struct pattern pattern_close_twice;
extern const struct pattern pattern_send_after_close;

enum { PATTERNS_MAX = 8 };

// What a program offers.
struct patterns {
    const struct pattern *list[PATTERNS_MAX];
    unsigned count;
};

struct options;

// Starts one task for each pattern that is switched on; it leaks at the rate asked for, until its
// count is reached or `stop` is closed. When all have reached it, the report is printed.
// 0 or a negative errno.
int leaks_start(const struct options *options, taskprof_chan *stop);

// Waits until those tasks are done; close `stop` first, unless a count was given.
void leaks_wait(void);

// Prints what was leaked so far, a line for each pattern that is switched on:
//   leaked NAME COUNT tasks in FUNCTION [REASON] on CHANNEL
//   misused NAME COUNT times in FUNCTION [WHAT] on CHANNEL closed in FUNCTION
// CHANNEL is "-" where there is none.
void leaks_report(void);

// A function that is to be seen in stacks, under its own name, however small it is. (Inlined
// functions are shown too; but gcc's clones for known arguments have names like f.constprop.0.)
#if defined(__clang__)
#define SEEN_IN_STACKS __attribute__((noinline))
#else
#define SEEN_IN_STACKS __attribute__((noipa))
#endif

// Brought by the program: starts a task that nobody joins. 0 or a negative errno.
int spawn(void *(*start)(void *), void *argument);

// Brought by the program: the calling task does something else for so long.
void nap(unsigned milliseconds);
