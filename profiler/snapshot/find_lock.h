// Look-ups in a snapshot's waits for locks; those for encoders are in snapshot.h.

#pragma once

#include "profiler/snapshot/snapshot.h"

// The index in lock_waits of the task in this slot; SNAPSHOT_NONE: it waits for no lock.
uint32_t find_lock_wait(const struct snapshot *snapshot, uint32_t slot);
