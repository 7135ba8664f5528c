// Channels: bounded queues between tasks, with the semantics of Go's.
//
// A capacity of 0 makes an unbuffered channel: a send meets a receive. After close, receives drain
// what is buffered and then yield zeroed elements with ok == false; sends fail. A NULL channel
// blocks for ever. Every channel shows up in the `channel` profile with its length, capacity,
// waiters on each side and last operation, and every blocked task with the channel it waits on.
//
// Where Go panics these return an error, and what happened is kept for the dump with both stacks
// (here, and where the channel was first closed or freed).
//
// A blocked call must not be left by longjmp, nor by pthread_exit from a signal handler: the other
// side would write to a stack that is gone. In the child of a fork, channels that other threads
// were using at that instant are in no defined state; others go on.
//
// All functions: any thread, any registered coroutine. Not from signal handlers. Blocking ones are
// no cancellation points. errno is kept. Errors are negative errno values:
//   -EPIPE      send on a closed channel
//   -EALREADY   close of a closed channel
//   -EINVAL     close, free, or a try of a NULL channel (timed operations wait for their time);
//               a bad argument
//   -ESTALE     the channel was freed (told as long as its slot was not used again)
//   -EAGAIN     a try would have blocked
//   -ETIMEDOUT  the time is over
//   -EBUSY      free of a channel on which tasks wait
//   -ENOMEM

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) // exported from the library, which hides all else

typedef struct taskprof_chan taskprof_chan;

// A channel's name, its NUL among it; longer ones are cut.
#define TASKPROF_CHAN_NAME_SIZE 32

// Makes a channel of `capacity` elements of `element_size` bytes each (0 is allowed: a signal).
// `name` is copied; NULL leaves it unnamed, it is then shown by where it was made. *ret_channel is
// written on success only. 0, -EINVAL (a total size over SIZE_MAX / 2), -ENOMEM.
int taskprof_chan_make(size_t element_size, size_t capacity, const char *name,
                       taskprof_chan **ret_channel);

// Sends a copy of *element; blocks while there is no room or, unbuffered, no receiver.
// timeout_ns, here and below, counts from now; 0 does not wait (-ETIMEDOUT), TASKPROF_FOREVER has
// no end. A coroutine whose scheduler can't suspend it gets the scheduler's error, and nothing was
// sent or received.
int taskprof_chan_send(taskprof_chan *channel, const void *element);
int taskprof_chan_try_send(taskprof_chan *channel, const void *element);
int taskprof_chan_timed_send(taskprof_chan *channel, const void *element, int64_t timeout_ns);

// Receives into *element (NULL throws it away). *ret_ok (may be NULL) is false when the channel is
// closed and drained; the element is then zeroed and the result still 0.
int taskprof_chan_receive(taskprof_chan *channel, void *element, bool *ret_ok);
int taskprof_chan_try_receive(taskprof_chan *channel, void *element, bool *ret_ok);
int taskprof_chan_timed_receive(taskprof_chan *channel, void *element, bool *ret_ok,
                                int64_t timeout_ns);

// Closes: wakes every receiver (ok == false) and every sender (-EPIPE).
int taskprof_chan_close(taskprof_chan *channel);

// Frees it. -EBUSY (and nothing is freed) while tasks wait on it. NULL is -EINVAL.
int taskprof_chan_free(taskprof_chan *channel);

// Elements buffered now, and room for how many. 0 for NULL.
size_t taskprof_chan_length(const taskprof_chan *channel);
size_t taskprof_chan_capacity(const taskprof_chan *channel);
bool taskprof_chan_is_closed(const taskprof_chan *channel);

// One case of a select.
struct taskprof_case {
    taskprof_chan *channel; // NULL: a case that is never ready
    void *element;          // send: what to send; receive: where to (may be NULL)
    bool send;
    bool ok; // set for the receive that was chosen
};

// Timeouts of taskprof_select.
#define TASKPROF_FOREVER ((int64_t)-1)
#define TASKPROF_DEFAULT ((int64_t)0) // do not wait: the `default` case

// Waits until one of the cases can go on and carries out just that one, at random among those that
// can. *ret_chosen is its index, written when the result is 0 or -EPIPE (the chosen case was a send
// on a closed channel). -EAGAIN: none ready and timeout_ns is TASKPROF_DEFAULT; -ETIMEDOUT;
// -EINVAL: more than TASKPROF_SELECT_MAX cases. count 0 blocks for ever (or for timeout_ns).
// -EINVAL and -ESTALE: any of the cases is so; none is carried out. Needs 4 KiB of stack.
#define TASKPROF_SELECT_MAX 64
int taskprof_select(struct taskprof_case *cases, unsigned count, int64_t timeout_ns,
                    unsigned *ret_chosen);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
