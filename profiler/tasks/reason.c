// The texts of wait reasons: the one list to add to.

#include <taskprof/park.h>

#include <stddef.h>

static const char *const texts[TASKPROF_REASONS] = {
    [TASKPROF_CHAN_SEND] = "chan send",
    [TASKPROF_CHAN_RECEIVE] = "chan receive",
    [TASKPROF_CHAN_SEND_NIL] = "chan send (nil chan)",
    [TASKPROF_CHAN_RECEIVE_NIL] = "chan receive (nil chan)",
    [TASKPROF_SELECT] = "select",
    [TASKPROF_SELECT_NO_CASES] = "select (no cases)",
    [TASKPROF_MUTEX_LOCK] = "sync.Mutex.Lock",
    [TASKPROF_RWLOCK_RLOCK] = "sync.RWMutex.RLock",
    [TASKPROF_RWLOCK_LOCK] = "sync.RWMutex.Lock",
    [TASKPROF_WAITGROUP_WAIT] = "sync.WaitGroup.Wait",
    [TASKPROF_COND_WAIT] = "sync.Cond.Wait",
    [TASKPROF_SEMACQUIRE] = "semacquire",
    [TASKPROF_JOIN] = "join",
    [TASKPROF_BARRIER_WAIT] = "barrier wait",
    [TASKPROF_IO_WAIT] = "IO wait",
    [TASKPROF_SLEEP] = "sleep",
    [TASKPROF_SIGNAL_WAIT] = "signal wait",
    [TASKPROF_CHILD_WAIT] = "child wait",
    [TASKPROF_SYSCALL] = "syscall",
    [TASKPROF_WAIT] = "wait",
};

const char *taskprof_reason_text(enum taskprof_reason reason)
{
    unsigned index = (unsigned)reason;
    return index < TASKPROF_REASONS && texts[index] ? texts[index] : "unknown";
}
