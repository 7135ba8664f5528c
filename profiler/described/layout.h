// Where the described fields of a type lie in memory, and reading them there.
//
// The memory may be anything by now: it is only ever read as safe_read reads.

#pragma once

#include "profiler/channels/channel.h"
#include "profiler/described/description.h"

// From the object's address: add `offset`, and where `deref` is set take the pointer that lies
// there; step after step.
struct layout_path {
    unsigned count; // 0: not described
    struct {
        uint64_t offset;
        bool deref;
    } steps[PATH_STEPS_MAX + 1];
    uint64_t size; // of what lies there, bytes
    bool is_signed;
    bool is_bool;
    uint8_t bit;  // of a bit field: its first bit, counted from the least significant …
    uint8_t bits; // … and how many; 0: it is none
};

struct layout {
    const struct description *description;
    uint64_t size; // of the type; bytes
    struct layout_path paths[ROLES];
    bool (*makes_sense)(uintptr_t base); // what else must be so of such an object; NULL: nothing
};

// Whether a wait's object lies inside of the type itself, at paths[role].steps[0].offset.
bool layout_is_direct(const struct layout_path *path);

// Where a path leads from `base`. 0; -ENXIO: through a pointer that is NULL; -EFAULT: through one
// that can't be read.
int layout_address(const struct layout_path *path, uintptr_t base, uintptr_t *ret);

// Length, capacity and whether it is closed. 0, or -EFAULT: what lies there can't be such an object
// (it can't be read, its length is negative or larger than its capacity, a bool is neither true
// nor false). A pointer on the way that is NULL makes a number unknown. The rest of *ret is zeroed.
int layout_read(const struct layout *layout, uintptr_t base, struct channel_reading *ret);

// The name= field, printable; "" when there is none, or it is NULL or empty.
void layout_name(const struct layout *layout, uintptr_t base, char into[TASKPROF_CHAN_NAME_SIZE]);
