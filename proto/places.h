// The places in the code that a profile speaks of: stacks, their distinct addresses, and what
// stands there.
//
// In this order: add all stacks of samples, seal, add the stacks that labels are made from,
// resolve. A place's number below `locations` is its location's id - 1. Not thread-safe.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/base/table.h"
#include "profiler/symbols/symbols.h"
#include "profiler/unwind/stack.h"

// A zeroed struct is empty. `addresses.failed` says that it ran out of memory.
struct places {
    struct table by_address;
    struct buffer addresses; // uintptr_t: return addresses
    struct table by_stack;
    struct buffer stacks; // struct place_stack
    struct buffer frames; // uint32_t: places of all stacks, one behind the other
    uint32_t locations;   // places that samples use
    bool any_truncated;   // a sample's stack ends early …
    bool any_unknown;     // … or has no frame at all
    const struct symbol **symbols;
    size_t symbol_count;
};

struct place_stack {
    stack_id id;
    uint32_t first; // in `frames`
    uint32_t depth;
    bool truncated;
};

void places_add_stack(struct places *places, stack_id id);
void places_seal(struct places *places);

// The frames of a creation stack among which its origin is.
void places_add_origin(struct places *places, stack_id id);

// Names everything that was added. 0 or a negative errno; names that could not be had are missing.
int places_resolve(struct places *places);

// A stack that was added; NULL for others.
const struct place_stack *places_stack(const struct places *places, stack_id id);
const uint32_t *places_frames(const struct places *places, const struct place_stack *stack);
uintptr_t places_address(const struct places *places, uint32_t place);

// What stands at a place or an address; NULL when that is not known, or was not added.
const struct symbol *places_symbol(const struct places *places, uint32_t place);
const struct symbol *places_symbol_at(const struct places *places, uintptr_t address);

void places_release(struct places *places);
