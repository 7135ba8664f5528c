// Who may still look at what was taken out of a table.
//
// Tables are read without a lock, and what they kept is given back while they are read. So whoever
// reads one of them, or holds on to what he found there (an id, a pointer), says so for as long:
//
//   - a thread of the application, in the midst of one call, with epoch_enter and epoch_leave;
//   - what lasts (a snapshot until it is freed, a thread of taskprof's at work) with an epoch_hold.
//
// Whoever takes something out draws a ticket afterwards, and gives it back when that has passed:
// then nobody is left who began before.

#pragma once

#include <stdbool.h>
#include <stdint.h>

// A section of the calling thread: nothing that was found in a table is used after its end. What it
// returns is for epoch_leave. No lock, and never waits. Sections may nest, and may lie in a
// signal's handler; but they are short, for nothing is given back meanwhile.
uint64_t epoch_enter(void);
void epoch_leave(uint64_t entered);

// The calling thread ends: sections that it left by a handler's longjmp are over.
void epoch_thread_ends(void);

// One that may last for hours: it keeps what was there when it began, and no more. Under a lock of
// taskprof's own: not for the application's threads. Zeroed at first; release ignores one that is
// not held.
struct epoch_hold {
    struct epoch_hold *next;
    struct epoch_hold *previous;
    uint64_t since; // 0: not held
    uint32_t forks;
};
void epoch_hold(struct epoch_hold *hold);
void epoch_release(struct epoch_hold *hold);

// A ticket for what the caller has taken out before. Any thread.
uint64_t epoch_retire(void);

// Whether everybody is gone who began before the ticket was drawn. Does not wait for that: asked
// again later.
bool epoch_passed(uint64_t ticket);

// The same of sections alone: who has a hold stores nothing.
bool epoch_sections_passed(uint64_t ticket);

// In the child of a fork, which has none of the parent's other threads.
void epoch_after_fork(void);
