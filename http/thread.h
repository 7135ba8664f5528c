// taskprof's own threads: no signal of the application's is ever handled on them.

#pragma once

#include <pthread.h>

// 0, or -EAGAIN, -ENOMEM.
int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *argument);
