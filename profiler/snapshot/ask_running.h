// Stacks of running threads, for a snapshot with SNAPSHOT_RUNNING: see ask_signal.h for how, this
// is about whom.

#pragma once

#include "profiler/base/table.h"
#include "profiler/snapshot/capture.h"

struct collector;

// Asks every thread that the kernel calls running, before the cut. What they answered is in
// collector->asked, how many were asked in the snapshot. Fails in no way but having no answers.
void collect_ask_running(struct collector *collector);

// The stack that a thread answered with; 0: none.
stack_id collect_asked(const struct collector *collector, pid_t tid);
