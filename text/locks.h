// Who holds what: the words for a lock's holder, and what stands first in a dump when tasks are
// stuck for good.

#pragma once

#include "profiler/snapshot/snapshot.h"

// "goroutine 17 (tid 4711), chan receive"; "this task itself"; "thread 4711, which has ended"; "3
// readers; who they are is not known". `waiter` is the task that waits, 0: none in particular.
// "" when nothing is known.
enum { TEXT_HOLDER_MAX = 160 };
void text_holder(const struct snapshot *snapshot, const struct snapshot_lock *lock, uint64_t waiter,
                 char into[TEXT_HOLDER_MAX]);

// Deadlocks, and locks that ended threads left locked, in lines that begin with "#": parsers of
// both text forms pass over those that stand before the first task. `stacks`: each task's too.
// Nothing when there are none.
void text_locks(struct buffer *out, const struct snapshot *snapshot, bool stacks);

// "1 deadlock of 2 tasks, 1 abandoned lock"; "" when there are none.
void text_locks_summary(struct buffer *out, const struct snapshot *snapshot);
