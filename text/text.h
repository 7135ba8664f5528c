// The text dumps. Each is rendered piece by piece as it is read, so that a million tasks need
// little more memory than a thousand.
//
// All take over the snapshot when they return 0: text_free gives it back. On an error (-ENOMEM) it
// stays the caller's.

#pragma once

#include "profiler/snapshot/snapshot.h"
#include "text/filter.h"

#include <sys/types.h>

struct text;

// goroutine?debug=1: groups, by count.
int text_groups(struct snapshot *snapshot, const struct filter *filter, struct text **ret);

// goroutine?debug=2: every task, in Go's own form. Needs SNAPSHOT_TASKS.
int text_tasks(struct snapshot *snapshot, const struct filter *filter, struct text **ret);

// channel?debug=1: a table, then misuse. `problems`: lines that begin with "#", or "".
int text_channels(struct snapshot *snapshot, const struct filter *filter, const char *problems,
                  struct text **ret);

// threadcreate?debug=1: threads by where they were created. Needs SNAPSHOT_TASKS.
int text_threads(struct snapshot *snapshot, struct text **ret);

// The next bytes: how many (at most `room`), 0 at the end, or a negative errno.
ssize_t text_read(struct text *text, char *into, size_t room);
void text_free(struct text *text);

// What each of them is made on: the first member of its own struct, which lives in the snapshot's
// arena.
struct text {
    struct snapshot *snapshot;
    struct buffer out; // what was rendered and not yet read, after the first `at` bytes
    size_t at;
    size_t wanted; // how much `out` should have, for those who can tell: the room for it
    // Renders the next piece behind what is in `out`; false: there was none.
    bool (*next)(struct text *text);
    // Gives back what is not in the arena; may be NULL.
    void (*release)(struct text *text);
};

// A zeroed struct of `size` bytes with `struct text` at its start; NULL: out of memory.
void *text_new(struct snapshot *snapshot, size_t size, bool (*next)(struct text *));
