// New ids for stacks and classes of channels, when their tables have turned to a new generation.
//
// What refers to them by id is this: slots of tasks (where they were created, and what the
// collector has cached), entries of channels, taskprof's own channels and the misuses of them, what
// the collector remembers, and what types threads were asked. Snapshots that are not freed yet go
// on with the old ids; their holds keep what these mean.

#pragma once

struct collector;
struct snapshot;

// Before a snapshot, under the collector's lock: begins a new generation if it is time, renews what
// refers to the old one, and gives that back when nobody looks at it any more.
void renew_generations(struct collector *collector);

// For snapshot_align: gives the snapshot's groups young ids; those for which there is no room keep
// theirs. Under the collector's lock.
void renew_groups(struct snapshot *snapshot);
