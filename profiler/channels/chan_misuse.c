// What was done to a channel that must not be: recorded with where, and with what stands against
// it.

#include "profiler/base/errno_keep.h"
#include "profiler/channels/chan.h"
#include "profiler/tasks/task.h"

#include <string.h>

void chan_misused(struct taskprof_chan *channel, int error, const struct arch_regs *regs)
{
    int saved = errno_get();
    uint64_t section;
    stack_id stack = task_stack_here(regs, &section);
    lock_acquire(&channel->lock);
    uint64_t id = channel->id;
    stack_id closed = atomic_load_explicit(&channel->closed_stack, memory_order_relaxed);
    stack_id freed = atomic_load_explicit(&channel->freed_stack, memory_order_relaxed);
    stack_id earlier = error == -ESTALE ? freed : closed;
    char name[TASKPROF_CHAN_NAME_SIZE];
    memcpy(name, channel->name, sizeof(name));
    lock_release(&channel->lock);
    enum misuse_kind kind = error == -ESTALE  ? MISUSE_USE_AFTER_FREE
                            : error == -EPIPE ? MISUSE_SEND_ON_CLOSED
                                              : MISUSE_CLOSE_OF_CLOSED;
    misuse_record(kind, id, name, stack, earlier);
    epoch_leave(section);
    errno_set(saved);
}
