// Snapshots as pprof profiles: uncompressed or gzipped protobuf, by the rules that
// docs/profiles.md lists. Pure functions: no registry, no lock, no malloc.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/snapshot/snapshot.h"

#include <sys/types.h>

// A profile that is produced piece by piece, so that a million samples need no more memory than a
// thousand. Serialised Profile messages may be concatenated: that is how each piece adds to the
// last.
struct pprof_stream;

// "goroutine": goroutine/count, wait/nanoseconds; one sample a group.
// `before` non-NULL makes a delta (snapshot minus before, negative values kept, duration set).
int pprof_goroutine(const struct snapshot *snapshot, const struct snapshot *before,
                    struct pprof_stream **ret);

// The same, one sample a task, with labels id, creator, wait. The snapshot needs SNAPSHOT_TASKS.
int pprof_tasks(const struct snapshot *snapshot, struct pprof_stream **ret);

// "channel": len/count, cap/count, senders/count, receivers/count, wait/nanoseconds.
int pprof_channel(const struct snapshot *snapshot, struct pprof_stream **ret);

// "threadcreate": threadcreate/count under the stacks that created the threads.
int pprof_threadcreate(const struct snapshot *snapshot, struct pprof_stream **ret);

// The next gzipped bytes: how many (at most `room`), 0 at the end, or a negative errno.
// The snapshot must live until pprof_free.
ssize_t pprof_read(struct pprof_stream *stream, void *into, size_t room);
void pprof_free(struct pprof_stream *stream); // NULL is ignored
