// The responder for a process whose malloc is stuck for ever: one connection at a time, GET alone,
// no memory but what it maps itself. The same routes and the same rules as otherwise.

#pragma once

#include "http/host.h"

// Serves one request on `fd` and closes it. Ends early when `stop` becomes readable.
void rescue_serve(int fd, const struct host_rule *hosts, int stop);

// Answers 503 "too many clients", whatever was asked, and closes `fd`.
void rescue_refuse(int fd, unsigned max_connections, int stop);
