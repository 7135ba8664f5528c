// Queues in programs that were never changed: types described in a file, found by DWARF, and
// recognised by the waits on them. See docs/channels-file.md.

#pragma once

// Reads the descriptions and starts the thread that finds their types, and GLib's queues if GLib is
// loaded by now. What is wrong with the file does not fail the start: problems_write tells it. 0,
// or a negative errno when there can be no thread or no memory. NULL and "": there is no file, and
// without GLib nothing is started.
int described_start(const char *path);

// Stops it; what was found is in no profile any more.
void described_stop(void);

void described_after_fork(void);
