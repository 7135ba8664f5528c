// What is served where. The list of profiles is at the top of routes.c: a new one is a line there
// (see route.h).

#pragma once

#include "answers/exchange.h"

#define ROUTES_BASE "/debug/pprof/"

enum {
    ROUTES_BODY_MAX = 1 << 20, // bytes of a request's body, at most
};

// Whether a body may come with this method and target. false: *reply is the refusal.
bool routes_takes_body(const struct request *request, struct reply *reply);

// Answers a request. Always leaves an answer in *reply (zeroed before), or for ?seconds=N what
// routes_answer_later wants when the time is over.
void routes_answer(const struct request *request, struct reply *reply);
void routes_answer_later(struct reply *reply);
