// Parks: a task's waits, from the moment it blocks to the moment it goes on.
//
// Put taskprof_park just before a call that is about to block, and taskprof_unpark just behind it:
//
//     taskprof_park(TASKPROF_COND_WAIT, &queue->not_empty);
//     while (queue->length == 0)
//         pthread_cond_wait(&queue->not_empty, &queue->lock);
//     taskprof_unpark();
//
// From then on every profile shows the task as parked there, with its stack, for how long, and on
// what. Both calls together cost some tens of nanoseconds: no lock, no allocation, no system call.
// Only the first park of a thread costs more, because it registers the thread.
//
// The stack is read later and from outside, while the task sleeps: the frame of the function that
// called taskprof_park must live until taskprof_unpark. So call both from the same function.
//
// Parks nest, and the outermost is the one that is shown. A park that is left without
// taskprof_unpark (longjmp, a cancelled or exited thread) ends with the thread, or with the next
// park from the same or an outer frame.
//
// All functions here: any thread, any coroutine, signal handlers of a thread that is registered;
// they keep errno; they can not fail (a task for which there is no memory is left out of the
// profile).

#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) // exported from the library, which hides all else

// Why a task waits. The texts are Go's own, where Go has one: its tools look for them.
enum taskprof_reason {
    TASKPROF_CHAN_SEND = 1,    // "chan send"
    TASKPROF_CHAN_RECEIVE,     // "chan receive"
    TASKPROF_CHAN_SEND_NIL,    // "chan send (nil chan)"
    TASKPROF_CHAN_RECEIVE_NIL, // "chan receive (nil chan)"
    TASKPROF_SELECT,           // "select"
    TASKPROF_SELECT_NO_CASES,  // "select (no cases)"
    TASKPROF_MUTEX_LOCK,       // "sync.Mutex.Lock"
    TASKPROF_RWLOCK_RLOCK,     // "sync.RWMutex.RLock"
    TASKPROF_RWLOCK_LOCK,      // "sync.RWMutex.Lock"
    TASKPROF_WAITGROUP_WAIT,   // "sync.WaitGroup.Wait"
    TASKPROF_COND_WAIT,        // "sync.Cond.Wait"
    TASKPROF_SEMACQUIRE,       // "semacquire"
    TASKPROF_JOIN,             // "join"
    TASKPROF_BARRIER_WAIT,     // "barrier wait"
    TASKPROF_IO_WAIT,          // "IO wait"
    TASKPROF_SLEEP,            // "sleep"
    TASKPROF_SIGNAL_WAIT,      // "signal wait"
    TASKPROF_CHILD_WAIT,       // "child wait": waitpid and its kin
    TASKPROF_SYSCALL,          // "syscall"
    TASKPROF_WAIT,             // "wait": anything else
    TASKPROF_REASONS           // how many there are, plus one
};

// The text of a reason, as it stands in every dump; "unknown" for a value that is none. Static.
const char *taskprof_reason_text(enum taskprof_reason reason);

// The calling task blocks. `object` is what it waits on (a channel, a mutex, a condition variable;
// NULL for none): only its address is kept, it is never read.
void taskprof_park(enum taskprof_reason reason, const void *object);

// A file descriptor as an object: dumps show its number, up to 65534.
#define TASKPROF_FD(fd) ((const void *)((uintptr_t)(unsigned)(fd) + 1))

// The same for a call that may or may not block (a read, a poll): cheaper, and counted as a wait
// only while the kernel says that the thread sleeps in a system call; until then the task is
// running. Its wait may seem longer than it is by a timer tick (1 to 10 ms). Where /proc can't be
// read, the task is taken to wait. For threads: a coroutine's call would be asked of its thread.
void taskprof_park_call(enum taskprof_reason reason, const void *object);

// One of the objects of a wait on several.
struct taskprof_wait {
    const void *object;          // as for taskprof_park
    enum taskprof_reason reason; // TASKPROF_CHAN_SEND or TASKPROF_CHAN_RECEIVE, or what fits
};

// The same for a wait on several objects at once, shown as "select". The array must lie on the
// calling task's own stack and stay there until taskprof_unpark: it is read in place, and one that
// lies elsewhere is not looked at. count 0 is "select (no cases)".
void taskprof_park_select(const struct taskprof_wait *waits, unsigned count);

// The calling task goes on. Ends the innermost park; without one, does nothing.
void taskprof_unpark(void);

// The same for a coroutine that is known by its handle, called on that coroutine's own stack.
struct taskprof_task;
void taskprof_task_park(struct taskprof_task *task, enum taskprof_reason reason,
                        const void *object);
void taskprof_task_park_select(struct taskprof_task *task, const struct taskprof_wait *waits,
                               unsigned count);
void taskprof_task_unpark(struct taskprof_task *task);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
