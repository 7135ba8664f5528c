#include "profiler/described/held.h"

#include "profiler/base/safe_read.h"
#include "profiler/tasks/task.h"

#include <string.h>

// Above the stack pointer: what lies here may be a local variable.
enum { LOCAL_BYTES = 65536 };

bool held_read(const struct inquiry *inquiry, struct held *ret)
{
    struct taskprof_task *task = slab_at(&task_slab, inquiry->task_slot);
    struct park_record record;
    if (!task || !task_pin(task))
        return false;
    bool parked = park_read(task, &record) && record.seq == inquiry->seq;
    task_unpin(task);
    if (!parked)
        return false;
    memcpy(ret->words, record.regs.saved, sizeof(record.regs.saved));
    ret->sp = record.regs.sp;
    ssize_t got = safe_read(ret->sp, ret->words + ARCH_SAVED, HELD_STACK_BYTES);
    // safe_read keeps this look behind it.
    if (got < 0 || atomic_load_explicit(&task->seq, memory_order_relaxed) != inquiry->seq)
        return false;
    ret->count = ARCH_SAVED + (size_t)got / sizeof(uintptr_t);
    return true;
}

bool held_word(const struct held *held, uintptr_t word)
{
    for (size_t i = 0; i < held->count; i++)
        if (held->words[i] == word)
            return true;
    return false;
}

bool held_object(const struct held *held, uintptr_t object)
{
    return object - held->sp < LOCAL_BYTES || held_word(held, object);
}
