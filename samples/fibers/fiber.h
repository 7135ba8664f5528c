// State Threads (libst) taught to taskprof: everything that an adapter for a coroutine library has
// to do, in one file.

#pragma once

// Starts State Threads on the calling thread. 0 or a negative errno.
int fibers_init(void);

// Starts a fiber that nobody joins. Any fiber of that thread, or the thread itself. 0, -ENOMEM.
int fiber_spawn(void *(*start)(void *), void *argument);

// Runs `start` as a fiber and returns when it has returned. For main.
int fiber_run(void *(*start)(void *), void *argument);
