// A profile that is served: one line of the table in routes.c.

#pragma once

#include "answers/exchange.h"
#include "profiler/snapshot/snapshot.h"

struct route {
    const char *name; // behind /debug/pprof/
    // `query` is the query string, not decoded, never NULL.
    void (*answer)(const struct request *request, const char *query, struct reply *reply);
    // How many the profile has, for the index. NULL: it has no count, nor a text form.
    uint64_t (*count)(const struct snapshot *snapshot);
    bool takes_post;
    const char *description; // for the index
};
