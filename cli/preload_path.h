// Where libtaskprof_preload.so lies.

#pragma once

#include <limits.h>

// As the loader wants it in LD_PRELOAD: an absolute path. 0; or a negative errno, and it was
// complained about.
int preload_path(char into[PATH_MAX]);
