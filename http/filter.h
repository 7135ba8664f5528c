// What a client asks to see of the tasks: state=, min_wait=, channel=, limit=; and files=go, how.

#pragma once

#include "profiler/snapshot/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct http_reply;

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

// Reads the filters out of a query. Returns false, with a 400 in *reply, when one is not right.
bool filter_read(const char *query, struct filter *ret, struct http_reply *reply);

// The same for channel?debug=1, which knows channel= and limit=, the rows of one name or place: 0
// leaves only their sums.
enum { FILTER_CHANNEL_ROWS = 5 }; // without limit=
bool filter_read_channels(const char *query, struct filter *ret, struct http_reply *reply);

// The name of the first filter in the query, NULL: none. One without a value is none.
const char *filter_given(const char *query);
const char *filter_given_channels(const char *query);

// Whether tasks of this group may be shown, as far as their group alone can tell.
bool filter_group(const struct filter *filter, const struct snapshot_group *group);

// Whether a task of such a group may be.
bool filter_task(const struct filter *filter, const struct snapshot *snapshot,
                 const struct snapshot_task *task);
