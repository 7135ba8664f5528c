// taskprof run: a program that was never changed, started with taskprof in it.

#pragma once

#include <stdbool.h>
#include <stdio.h>

// Becomes the program, in this very process: its exit code, signals, input and output are untouched
// because nobody stands between. Returns only on failure, with an exit code of complain.h.
int run_command(int argc, char **argv);

void run_help(FILE *into);
