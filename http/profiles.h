// The profiles: from a query to an answer.

#pragma once

#include "http/exchange.h"

// Each answers a request for one profile; `query` is its query string, not decoded, never NULL.
void profile_goroutine(const struct http_request *request, const char *query,
                       struct http_reply *reply);
void profile_channel(const struct http_request *request, const char *query,
                     struct http_reply *reply);
void profile_threadcreate(const struct http_request *request, const char *query,
                          struct http_reply *reply);
void profile_cmdline(const struct http_request *request, const char *query,
                     struct http_reply *reply);
void profile_symbol(const struct http_request *request, const char *query,
                    struct http_reply *reply);

// The second half of goroutine?seconds=N.
void profile_goroutine_delta(struct http_reply *reply);
