// The load generator: one thread that hands in orders at a steady pace.

#pragma once

#include <taskprof/taskprof.h>

// 0 or a negative errno. It ends when `stop` is closed.
int load_start(taskprof_chan *stop);

// Waits for its end.
void load_join(void);
