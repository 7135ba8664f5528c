// A set of byte strings: the same bytes always get the same 32-bit id.
//
// Stacks, names and channel classes are kept here once, however many tasks share them. Look-up and
// insertion take no lock, so that an application thread that notes where it creates a task never
// waits for a snapshot.
//
// Memory is bounded by a budget. When it is mostly used up by what came since the last time, the
// table's owner turns to a new generation: from then on strings are kept there, ids of the old one
// are exchanged for new ones wherever they are still in use (intern_renew), and all the rest of the
// old generation is given back together, once nobody can look at it any more (base/epoch.h). What
// comes when the young one is full gets INTERN_FULL and is counted in the budget.
//
// Who reads or interns while others may turn is in a section or has a hold of base/epoch.h.

#pragma once

#include "profiler/base/budget.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INTERN_NONE = 0, // the id of the empty string, and of "no value"
    INTERN_FULL = 1, // the id of everything that came when there was no room
};

enum { INTERN_BUCKETS = 1 << 16, INTERN_CHUNKS = 1024, INTERN_CHUNK_BYTES = 1 << 20 };

struct intern_generation {
    _Atomic(_Atomic uint32_t *) buckets;   // INTERN_BUCKETS chain heads
    _Atomic(char *) chunks[INTERN_CHUNKS]; // each INTERN_CHUNK_BYTES, never moves
    _Atomic uint64_t used;                 // next free byte, in units of 8
};

enum intern_old {
    INTERN_NO_OLD,  // there is one generation
    INTERN_TURNED,  // ids of the old one are about
    INTERN_RETIRED, // they are not, but for those who hold on to them since before
};

// INTERN_INIT is a ready table; it allocates at the first insertion.
struct intern {
    // Its limit counts strings and headers of a generation. What is in use is moved in any case: a
    // generation may have twice as much for that, and then takes nothing new.
    struct budget budget;
    struct intern_generation generations[2];
    _Atomic uint32_t young; // index in `generations`
    _Atomic size_t moved;   // bytes of the young one that came by intern_renew
    // From a turn until the old one retires, what had been moved by the last turn: so much room is
    // held back, that newcomers don't take it from what is in use. 0 else.
    _Atomic size_t reserved;
    // The owner's, under a lock of his:
    enum intern_old old;
    uint64_t ticket;      // epoch_passed: of the turn, then of the retirement
    uint64_t turned_ns;   // CLOCK_MONOTONIC_COARSE, the last turn
    uint64_t turned_away; // what had been left out then
};

#define INTERN_INIT(what_, loss_, limit_)           \
    {                                               \
        .budget = BUDGET_INIT(what_, loss_, limit_) \
    }

// The id of these bytes. length ≤ 65,535. Any thread, lock-free; INTERN_FULL when there is no room.
uint32_t intern(struct intern *table, const void *bytes, size_t length);

// The bytes behind an id, aligned to 8; *ret_length their number. Valid until the id's generation
// is given back. For INTERN_NONE, INTERN_FULL and ids that were never given: NULL and 0.
const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_length);

// Bytes in use in the young generation, the table itself left out.
size_t intern_bytes(const struct intern *table);

// For the table's owner, one thread at a time.

// Gives the old generation back if it has retired and nobody looks at it any more. Then whether it
// is time for a new one: there is no old one, and most of the room is used up by what came since
// the last turn. Where nearly all of it was in use then, a turn may gain nothing: there is one a
// minute as long as something is left out, for what was in use may be so no longer.
bool intern_is_due(struct intern *table);

// Turns. Only without an old generation.
void intern_turn(struct intern *table);

// Whether there are ids of an old generation to be renewed, and nobody is about to store one:
// whoever interned before the turn, and was in a section, has left it.
bool intern_may_renew(const struct intern *table);

// The id of the same bytes in the young generation, which may be INTERN_FULL. An id that is young
// comes back as it is. Any thread.
uint32_t intern_renew(struct intern *table, uint32_t id);

// All ids that are still in use were renewed: the old generation is for those alone who were in a
// section or had a hold before.
void intern_retire(struct intern *table);

// The id of bytes that stand for those of an old id, in the young generation: as intern, and
// counted as what intern_renew moves. Any thread.
uint32_t intern_move(struct intern *table, const void *bytes, size_t length);

// Both at once, where nothing of the old generation is to be kept: for a table that its owner fills
// anew.
void intern_start_anew(struct intern *table);

// In the child of a fork: such a start that was under way is done.
void intern_after_fork(struct intern *table);
