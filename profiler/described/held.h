// What a waiting task holds: the values in the registers that calls preserve and at the top of its
// stack, of one instant of its wait.

#pragma once

#include "profiler/arch/regs.h"
#include "profiler/channels/inquiry.h"

enum { HELD_STACK_BYTES = 8192 };

struct held {
    uintptr_t sp;
    size_t count;
    uintptr_t words[ARCH_SAVED + HELD_STACK_BYTES / sizeof(uintptr_t)];
};

// false: the task goes on, or has gone on.
bool held_read(const struct inquiry *inquiry, struct held *ret);

bool held_word(const struct held *held, uintptr_t word);

// A pointer to an object, or the object itself as a local variable.
bool held_object(const struct held *held, uintptr_t object);
