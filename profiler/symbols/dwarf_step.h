// The steps in which DWARF is read: each shows that the DWARF thread gets on, and is where it may
// be told to stop.

#pragma once

#include <stdbool.h>
#include <stdint.h>

// Counts a step, of a fraction of a millisecond mostly; false: whoever opens something had better
// give up, with -ECANCELED.
bool dwarf_step(void);

// How many steps were counted: only grows. Any thread.
uint64_t dwarf_step_progress(void);

// Called after each step, on the thread that takes it; false: dwarf_step says so. Set it before the
// first step.
void dwarf_step_then(bool (*go_on)(void));
