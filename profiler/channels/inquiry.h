// Waits on objects that nobody registered: is the object part of a queue that was described?
//
// That takes DWARF, which takes malloc, so the collector can't find out: it asks, once for each
// stack and object, and goes on. Whoever answers (profiler/described/) does so on a thread of its
// own and makes the queue a channel of the registry. While nobody answers, nothing is asked.

#pragma once

#include "profiler/base/budget.h"
#include "profiler/channels/channel.h"

extern struct budget inquiry_budget; // of questions that are not answered yet

// The side is told by the object, or, where both sides wait on the same one, by the queue's length:
// who waits on an empty queue waits to receive.
enum inquiry_side { INQUIRY_RECEIVE, INQUIRY_SEND, INQUIRY_BY_LENGTH };

struct inquiry_answer {
    uint32_t channel_slot; // in channel_slab
    uint64_t channel_id;   // an answer holds as long as the slot has this channel
    enum inquiry_side side;
};

// A task that waits.
struct inquiry {
    stack_id stack;
    uint32_t task_slot;
    uintptr_t object;
    uint64_t seq;   // of its park
    uint32_t round; // inquiry.c's
};

// For collectors. A lock that is held for a look-up, by them and by who answers.

// Before a snapshot: what was found and is not there any more goes.
void inquiry_sweep(void);
// Whether this wait is on a channel. Asks if it was not asked.
enum inquiry_state { INQUIRY_NO, INQUIRY_YES, INQUIRY_OPEN };
enum inquiry_state inquiry_find(const struct inquiry *inquiry, struct inquiry_answer *ret);
// Grows with every answer that says yes: what a collector has worked out holds as long as it and
// channel_version stay the same. Acquire.
uint32_t inquiry_version(void);
// Waits until all that was asked is answered, as long as whoever answers gets on with it, and for
// some seconds at most. true: something was answered with yes since `version`. Not under a lock.
bool inquiry_wait(uint32_t version);

// Stacks have other ids from now on: forgets what was asked and answered. The collector's alone.
void inquiry_forget(void);

// For who answers.

// From now on there is somebody. `sweep` is called by inquiry_sweep.
void inquiry_open(void (*sweep)(void));
void inquiry_close(void);
// The oldest question; false: there is none.
bool inquiry_next(struct inquiry *ret);
// Its answer; NULL: no. `later`: it can't be told, for the task went on; it may be asked again.
void inquiry_settle(const struct inquiry *inquiry, const struct inquiry_answer *answer, bool later);
// Sleeps until something is asked or inquiry_wake is called after inquiry_turn returned `turn`.
uint32_t inquiry_turn(void);
void inquiry_sleep(uint32_t turn);
void inquiry_wake(void);
// Counts a step of any kind: the work goes on.
void inquiry_step(void);

void inquiry_after_fork(void);
