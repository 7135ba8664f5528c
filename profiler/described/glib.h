// GLib's GAsyncQueue and GThreadPool, recognised without a description. Only for the types thread,
// though nothing here calls malloc.

#pragma once

#include "profiler/described/evidence.h"

// Whether the program has loaded GLib.
bool glib_is_loaded(void);

// As evidence_find.
enum evidence_result glib_find(const struct question *question, struct evidence *ret);
