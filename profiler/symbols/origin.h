// Who really created something: the first frame of a creation stack, inlined ones among them, that
// is neither taskprof's own nor pthread_create or thrd_create, nor C++'s standard library's. Every
// dump names the same one.

#pragma once

#include "profiler/symbols/symbols.h"
#include "profiler/unwind/stack.h"

// The first frames of a creation stack: enough to get past taskprof's own, and past std::async,
// which is a dozen calls deep where nothing is inlined.
enum { ORIGIN_DEPTH = 24 };

struct origin {
    const struct symbol_frame *frame; // its function is "" when the address has no name
    uintptr_t address;                // a return address; 0: there is no such frame
    uintptr_t entry;                  // of the real function there, 0: not known
};

// Chooses among the first `count` frames of a stack, of which symbols[i] stands at addresses[i];
// NULL: that is not known. Pure.
struct origin origin_choose(const uintptr_t *addresses, const struct symbol *const *symbols,
                            size_t count);

// The same of a creation stack that is looked up here.
struct origin origin_of(stack_id creation);

// The place as "orders.c:120"; without a line the function's name, without that the file's
// name and the address in it, "orders+0x1126". NULL,
// and `into` as it was, when there is no such frame; else `into`.
enum { ORIGIN_PLACE_MAX = 256 };
const char *origin_place(const struct origin *origin, char into[ORIGIN_PLACE_MAX]);
