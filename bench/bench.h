// What the benchmark programs share. Each prints its measurements to standard output, a line
// "KEY VALUE" each, and run.sh takes the medians. What went wrong is one line on standard error.

#pragma once

#include "profiler/base/clock.h"

#include <stddef.h>
#include <stdint.h>

void bench_say(const char *key, double value);

// Ends the program with status 1.
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The calling thread stays on one processor; nothing happens when there is no such processor.
void bench_pin(unsigned cpu);

// The middle of `count` values, which are sorted in place.
double bench_median(double *values, size_t count);

// A decimal number of at least 1, or bench_fail.
size_t bench_count(const char *text);

// Resident memory, in bytes: now, and the most since bench_reset_peak.
size_t bench_rss(void);
size_t bench_peak_rss(void);
void bench_reset_peak(void);

// Waits until taskprof's reader of symbols has nothing to do: asleep at each of 20 looks, one a
// millisecond.
void bench_wait_until_warm(void);

// A file in memory, and the copy of what is in it to a file with a name.
int bench_memory_file(void);
void bench_save(int fd, const char *path);
