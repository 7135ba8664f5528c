// Queues that are not taskprof's: described once, they are channels in every profile.
//
//     struct taskprof_queue description = {
//         .size = sizeof(description),
//         .name = "jobs",
//         .object = queue,
//         .length = &queue->count, .length_size = sizeof(queue->count),
//         .capacity = &queue->limit, .capacity_size = sizeof(queue->limit),
//         .receive_waits = {&queue->not_empty},
//         .send_waits = {&queue->not_full},
//     };
//     taskprof_queue_register(&description, &queue->profile);
//
// A task parked on one of the named wait objects (its condition variables, semaphores, …) is then
// reported as `chan receive` or `chan send` on this queue, whatever reason it parked with.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) // exported from the library, which hides all else

typedef struct taskprof_queue_handle taskprof_queue_handle;

// Wait objects that a side can have.
#define TASKPROF_QUEUE_WAITS 4

// A length or capacity that is not known.
#define TASKPROF_UNKNOWN ((int64_t)-1)

// All pointers must stay readable until taskprof_queue_unregister returns. Numbers are read while
// the application changes them, without its lock: each is a single aligned load of 1, 2, 4 or 8
// bytes. For anything else give a callback; it runs on taskprof's thread, must take no lock and
// must not block, and returns TASKPROF_UNKNOWN when it can't tell.
struct taskprof_queue {
    size_t size;        // sizeof(struct taskprof_queue): lets later versions add fields
    const char *name;   // cut to 31 bytes; NULL: shown by where it was registered
    const void *object; // the queue's address, its identity; required
    const void *length;
    size_t length_size; // bytes of *length: 1, 2, 4, 8; 0 when `length` is NULL
    const void *capacity;
    size_t capacity_size;
    const void *closed; // non-zero: closed
    size_t closed_size;
    int64_t (*length_of)(const void *object);        // instead of `length`
    int64_t (*capacity_of)(const void *object);      // instead of `capacity`
    const void *receive_waits[TASKPROF_QUEUE_WAITS]; // NULL entries are ignored
    const void *send_waits[TASKPROF_QUEUE_WAITS];
};

// Registers a queue. The description is copied. *ret_handle is written on success only.
// 0; -EINVAL: no object, a size other than 0, 1, 2, 4 or 8, a misaligned pointer; -ENOMEM.
int taskprof_queue_register(const struct taskprof_queue *queue, taskprof_queue_handle **ret_handle);

// Notes that the calling task has just sent to, received from, or closed the queue, for "last
// operation" in the channel profile. Cheap, but a write to a shared line: leave it out of the
// hottest paths. NULL handles are ignored.
enum taskprof_queue_operation {
    TASKPROF_QUEUE_SENT = 1,
    TASKPROF_QUEUE_RECEIVED,
    TASKPROF_QUEUE_CLOSED
};
void taskprof_queue_note(taskprof_queue_handle *handle, enum taskprof_queue_operation operation);

// The queue is going away; its memory may be freed when this returns. NULL is ignored.
void taskprof_queue_unregister(taskprof_queue_handle *handle);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
