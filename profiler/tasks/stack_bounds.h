// Which stack an address lies on, and whether a park that was made there is still under way.
//
// Nesting is decided by the bounds of two stacks: the task's own, and the alternate one that its
// thread handles signals on. What lies on neither is unknown: the stack of a coroutine that nobody
// registered, or an alternate stack that is not in force any more. Distances tell nothing: an
// alternate stack may lie right above the own one, or below, or anywhere.
//
// A coroutine's bounds are registered. The top of a thread's is known from its registration on. How
// far down it reaches is only asked when an answer depends on it: as far as there is no gap. That
// is too far where a stack that the application gave lies right above other memory, with no guard
// in between. And where a sandbox forbids to ask, all below the top counts as the thread's own, but
// for the alternate stack: a park that was left by longjmp is more frequent than one that was made
// on an unknown stack.

#pragma once

#include "profiler/tasks/task.h"

struct stack_bounds {
    uintptr_t low;
    uintptr_t high; // first address behind it; 0: not known, holds nothing
};

static inline bool stack_bounds_hold(struct stack_bounds bounds, uintptr_t address)
{
    return address >= bounds.low && address < bounds.high;
}

// Whether a frame may still be there while its task's stack pointer is `sp`.
static inline bool stack_bounds_keep(struct stack_bounds own, struct stack_bounds alternate,
                                     uintptr_t frame, uintptr_t sp)
{
    // First: the alternate stack may lie within the own one, as an array of some function's.
    bool frame_alternate = stack_bounds_hold(alternate, frame);
    // A handler runs. Whatever it interrupted is still there: on the own stack, on an unknown one,
    // or further up on this one.
    if (stack_bounds_hold(alternate, sp))
        return !frame_alternate || sp < frame;
    // The task is where it belongs. Below its frames is what they called; what it did elsewhere is
    // over: a handler that was left by longjmp, a coroutine that was switched away from.
    if (stack_bounds_hold(own, sp))
        return !frame_alternate && stack_bounds_hold(own, frame) && sp < frame;
    // On an unknown stack. A frame on the own or the alternate one waits for what runs here; of one
    // on an unknown stack, the same or another, nothing can be told.
    return true;
}

// The top of the calling thread's stack: above all its frames, with none of anybody else's between.
uintptr_t stack_bounds_thread_high(void);

// As stack_bounds_park_lives, when it has to look closer.
bool stack_bounds_look(struct taskprof_task *task, uintptr_t frame, uintptr_t sp, bool here);

// Whether the park that was made at `frame` may still be under way while its task's stack pointer
// is `sp`. `here`: the task is the calling one; else the caller has pinned it, and its alternate
// stack is not known. Async-signal-safe; keeps errno.
//
// Most often the first line answers. A frame below the top is on the own stack, and so is `sp`, or
// it is somewhere else; or else both are elsewhere, the one below the other. All of these go on.
// But for a frame on an alternate stack *within* the own one: one that was left there is seen
// later, when a park comes from above it.
static inline bool stack_bounds_park_lives(struct taskprof_task *task, uintptr_t frame,
                                           uintptr_t sp, bool here)
{
    return (sp < frame && frame < task->stack_high) || stack_bounds_look(task, frame, sp, here);
}
