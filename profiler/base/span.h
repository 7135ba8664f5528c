// Spans of time as text.

#pragma once

#include "profiler/base/memory.h"

#include <stdint.h>

// "3m12.504s", "250ms": as Go writes them, no finer than a millisecond from 1 s on.
void span_write(struct buffer *out, uint64_t ns);
