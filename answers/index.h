// The page at /debug/pprof/.

#pragma once

#include "answers/route.h"

void index_answer(const struct route *routes, size_t count, struct reply *reply);

// Who is asked for a sentence at the page's end, without its full stop; NULL: nobody. It writes
// nothing when there is nothing to say. Called on any thread that answers, at any time.
void index_set_note(void (*write)(struct buffer *out));
