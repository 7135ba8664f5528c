// The command line that both samples understand.

#pragma once

#include "leaks.h"

struct program {
    const char *name;
    const char *about; // the first line of --help
    const struct patterns *patterns;
    unsigned fibers; // default of --fibers; 0: the program has no such option
};

struct options {
    const struct patterns *patterns;
    bool chosen[PATTERNS_MAX]; // which of them to run
    bool fixed;                // their twins instead
    double rate;               // rounds a second, of each
    unsigned count;            // rounds of each; 0: no end
    const char *http;          // NULL: taskprof's default
    unsigned duration;         // seconds; 0: until a signal comes
    unsigned fibers;
};

// Fills *ret from the command line. -1: go on; else the status to exit with at once (0 after --help
// and --list, 2 after a complaint on stderr that says what would be right).
int options_parse(const struct program *program, int argc, char **argv, struct options *ret);
