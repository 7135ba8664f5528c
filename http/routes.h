// What is served where. The list of profiles is at the top of routes.c: a new one is a line there.

#pragma once

#include "http/exchange.h"

#define ROUTES_BASE "/debug/pprof/"

enum {
    ROUTES_BODY_MAX = 1 << 20, // bytes of a request's body, at most
    ROUTES_SECONDS_MAX = 3600, // of ?seconds=: such a request holds one of the connections
};

struct route {
    const char *name;
    void (*answer)(const struct http_request *request, const char *query, struct http_reply *reply);
    const char *description; // for the index
};
const struct route *routes_list(size_t *ret_count);

// Whether a body may come with this method and target. false: *reply is the refusal.
bool routes_takes_body(const struct http_request *request, struct http_reply *reply);

// Answers a request. Always leaves an answer in *reply (zeroed before), or for ?seconds=N what
// routes_answer_later wants when the time is over.
void routes_answer(const struct http_request *request, struct http_reply *reply);
void routes_answer_later(struct http_reply *reply);
