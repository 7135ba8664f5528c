// The responder for a process whose malloc is stuck for ever: one connection at a time, GET alone,
// no memory but what it maps itself. The same routes and the same rules as otherwise.

#pragma once

#include "answers/host.h"

// Serves one request on `fd` and closes it. Ends early when `stop` becomes readable. `trouble` says
// why it is done here, for what can't be: "malloc is stuck in this process".
void rescue_serve(int fd, const struct host_rule *hosts, int stop, const char *trouble);

// Answers 503, whatever was asked, and closes `fd`. `why` is what there is too much of.
void rescue_refuse(int fd, int stop, const char *why);
