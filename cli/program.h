// The program that is to be started: where it lies, and whether anything can be preloaded into it.

#pragma once

#include <limits.h>

// Finds `command` as execvp(3) would, and looks at it. 0, and `into` is its path; or an exit code
// of complain.h, and it was complained about.
int program_find(const char *command, char into[PATH_MAX]);
