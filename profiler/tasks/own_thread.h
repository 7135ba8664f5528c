// taskprof's own threads: in no profile, and no signal of the application's is ever handled on
// them.

#pragma once

#include <pthread.h>

// Creates a thread with all signals blocked and a stack that does for libdw, whatever the
// application made its threads' default, and waits until it has marked itself as taskprof's own: no
// snapshot after this takes it for the application's. `name`: static, at most 15 bytes. 0, or
// -EAGAIN, -ENOMEM. *ret_thread is written on success only.
int own_thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *argument);

// The calling thread, one of taskprof's own with work that nobody may notice: it never takes a
// processor from a thread that runs, gets it in short slices, and no real-time priority that it may
// have been created with. As far as the kernel lets it.
void own_thread_be_modest(void);
