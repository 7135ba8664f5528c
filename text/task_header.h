// The line above a task's stack in debug=2: what it does, for how long, and its labels.

#pragma once

#include "profiler/snapshot/snapshot.h"

// `details` NULL: the task has ended since the snapshot.
void task_header(struct buffer *out, const struct snapshot *snapshot,
                 const struct snapshot_task *task, const struct task_details *details);
