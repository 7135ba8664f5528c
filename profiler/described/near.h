// Near misses: the names that somebody may have meant.

#pragma once

#include <stddef.h>

enum { NEAR_KEPT = 3, NEAR_NAME_MAX = 64, NEAR_TEXT_MAX = 256 };

// A zeroed struct is empty. Nearest first.
struct near {
    unsigned count;
    struct {
        unsigned distance;
        char name[NEAR_NAME_MAX];
    } names[NEAR_KEPT];
};

// Edits (insertions, deletions, exchanges, two neighbours swapped) that make one of the other.
// Names are compared up to NEAR_NAME_MAX bytes and without regard to case.
unsigned near_distance(const char *one, const char *other);

// Keeps `name` if it is among the nearest to what was `wanted`, and near enough to be meant.
void near_offer(struct near *near, const char *wanted, const char *name);

// " (did you mean \"queue\" or \"queues\"?)"; "" when nothing is near. Returns `into`.
const char *near_text(const struct near *near, char into[NEAR_TEXT_MAX]);
