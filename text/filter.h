// What somebody asks to see of a snapshot, and how.

#pragma once

#include "profiler/snapshot/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct filter {
    char state[64];    // "": any
    char channel[256]; // "": any
    bool has_min_wait; // then only what waits, and for at least …
    uint64_t min_wait_ns;
    uint64_t limit; // 0: none
    // Of debug=2. panicparse gives up a whole dump at the first file that doesn't end in .c, .go or
    // .s: a header, C++, assembly. Such a file is then written behind the function's name instead.
    bool go_files;
};

// Whether tasks of this group may be shown, as far as their group alone can tell.
bool filter_group(const struct filter *filter, const struct snapshot_group *group);

// Whether a task of such a group may be.
bool filter_task(const struct filter *filter, const struct snapshot *snapshot,
                 const struct snapshot_task *task);
