// What a snapshot could not find out, and why.

#pragma once

#include "profiler/snapshot/snapshot.h"

// A line for each thing, with `before` and `behind` around it. Nothing when nothing is missing.
void text_missing(struct buffer *out, const struct snapshot *snapshot, const char *before,
                  const char *behind);

// The same of what had no room since the snapshot was taken: for the end of a dump, whose names
// were looked up meanwhile.
void text_missing_since(struct buffer *out, const struct snapshot *snapshot, const char *before,
                        const char *behind);
