// The page at /debug/pprof/.

#pragma once

#include "http/exchange.h"

void index_answer(struct http_reply *reply);
