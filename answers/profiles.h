// The profiles: from a query to an answer.

#pragma once

#include "answers/exchange.h"

// Each answers a request for one profile; `query` is its query string, not decoded, never NULL.
void profile_goroutine(const struct request *request, const char *query, struct reply *reply);
void profile_channel(const struct request *request, const char *query, struct reply *reply);
void profile_threadcreate(const struct request *request, const char *query, struct reply *reply);
void profile_cmdline(const struct request *request, const char *query, struct reply *reply);
void profile_symbol(const struct request *request, const char *query, struct reply *reply);

// The second half of goroutine?seconds=N.
void profile_goroutine_delta(struct reply *reply);
