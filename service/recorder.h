// Goroutine profiles kept as files: a history for those who come too late with curl.

#pragma once

#include "service/options.h"

// Starts the thread that writes a profile to settings->snapshots, each settings->snapshots_every_s
// seconds, and keeps the newest settings->snapshots_keep of this program's there. 0; or a negative
// errno when the folder can't be opened, or there is no thread. Not thread-safe: under
// service.c's lock, as the other two.
int recorder_start(const struct settings *settings);

void recorder_stop(void);

// For the child of a fork, which has no such thread.
void recorder_after_fork(void);
