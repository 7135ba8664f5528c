// Coroutines: tasks that their runtime registers, with bounds of a stack of their own.

#include "profiler/arch/capture.h"
#include "profiler/tasks/self.h"

#include <errno.h>

int taskprof_coroutine_begin(const struct taskprof_coroutine *coroutine, taskprof_task **ret_task)
{
    if (!coroutine || !ret_task || coroutine->size != sizeof(*coroutine))
        return -EINVAL;
    uintptr_t low = (uintptr_t)coroutine->stack_low;
    size_t size = coroutine->stack_size;
    if (!low || size < 16 || size > UINTPTR_MAX - low || size / 16 > UINT32_MAX)
        return -EINVAL;
    int saved = errno;
    task_current(); // so that the coroutine has a creator
    struct arch_regs regs;
    arch_capture(&regs);
    uint64_t section;
    stack_id creation = task_stack_here(&regs, &section);
    struct taskprof_task *task = task_new(TASK_COROUTINE, coroutine->name, creation);
    epoch_leave(section);
    errno = saved;
    if (!task)
        return -ENOMEM;
    task->stack_high = low + size;
    // Rounded down: the lowest bytes of a stack are never reached by a frame that still works.
    atomic_store_explicit(&task->tid_or_units, (uint32_t)(size / 16), memory_order_relaxed);
    task->scheduler = coroutine->scheduler;
    task->context = coroutine->context;
    task_live(task);
    *ret_task = task;
    return 0;
}

int taskprof_coroutine_end(taskprof_task *task)
{
    if (!task)
        return 0;
    if (task_kind(task) != TASK_COROUTINE)
        return -EINVAL;
    if (thread_self.current == task)
        thread_self.current = thread_self.thread;
    return task_end(task);
}

void taskprof_task_switch(taskprof_task *task)
{
    thread_self.current = task ? task : thread_self.thread;
}
