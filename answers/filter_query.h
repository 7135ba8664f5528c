// What a client asks to see of the tasks: state=, min_wait=, channel=, limit=; and files=go, how.

#pragma once

#include "text/filter.h"

struct reply;

// Reads the filters out of a query. Returns false, with a 400 in *reply, when one is not right.
bool filter_read(const char *query, struct filter *ret, struct reply *reply);

// The same for channel?debug=1, which knows channel= and limit=, the rows of one name or place: 0
// leaves only their sums.
enum { FILTER_CHANNEL_ROWS = 5 }; // without limit=
bool filter_read_channels(const char *query, struct filter *ret, struct reply *reply);

// The name of the first filter in the query, NULL: none. One without a value is none.
const char *filter_given(const char *query);
const char *filter_given_channels(const char *query);
