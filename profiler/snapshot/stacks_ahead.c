#include "profiler/snapshot/stacks_ahead.h"

#include "profiler/base/memory.h"
#include "profiler/base/safe_read.h"

#include <errno.h>

_Static_assert((int)STACKS_AHEAD <= (int)SAFE_READ_PARTS, "a batch is one system call");
enum { SLOTS = 1024 }; // looked at for one batch: those of other tasks may lie between

void stacks_ahead_begin(struct stacks_ahead *ahead)
{
    ahead->first = ahead->end = 0;
    ahead->count = ahead->next = ahead->short_of = 0;
}

// Whether the collector is going to read this thread's stack, and of which park.
static bool is_wanted(const struct taskprof_task *task, struct park_record *ret)
{
    // Acquire: pairs with the release of task_live.
    if (atomic_load_explicit(&task->state, memory_order_acquire) != TASK_LIVE ||
        task_kind(task) != TASK_THREAD)
        return false;
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_relaxed);
    return seq & 1 && (uint32_t)seq != task->cached_seq && park_read(task, ret);
}

static void note(struct stacks_ahead *ahead, uint32_t slot, const struct park_record *record)
{
    ahead->of[ahead->count].slot = slot;
    ahead->of[ahead->count].seq = record->seq;
    ahead->of[ahead->count].sp = record->regs.sp;
    ahead->of[ahead->count].whole = false;
    ahead->count++;
}

static void copy(struct stacks_ahead *ahead)
{
    struct safe_read_part parts[STACKS_AHEAD];
    for (unsigned i = 0; i < ahead->count; i++)
        parts[i] = (struct safe_read_part){.address = ahead->of[i].sp,
                                           .into = ahead->copies + i * ahead->bytes,
                                           .length = ahead->bytes};
    // A read ends at the first part that can't be read whole: that one is left to those who read it
    // by itself, and the rest is read on.
    for (unsigned at = 0; at < ahead->count;) {
        ssize_t got = safe_read_parts(parts + at, ahead->count - at);
        if (got < 0 && got != -EFAULT)
            return;
        unsigned whole = got < 0 ? 0 : (unsigned)((size_t)got / ahead->bytes);
        for (unsigned i = 0; i < whole; i++)
            ahead->of[at + i].whole = true;
        at += whole + 1;
    }
}

static void fill(struct stacks_ahead *ahead, uint32_t slot)
{
    if (ahead->bytes == 0)
        ahead->bytes = STACK_AHEAD_MIN;
    else if (ahead->short_of * 4 > ahead->count && ahead->bytes < STACK_AHEAD_MAX)
        ahead->bytes *= 2;
    stacks_ahead_begin(ahead);
    if (!ahead->copies)
        ahead->copies = memory_map((size_t)STACKS_AHEAD * STACK_AHEAD_MAX);
    if (!ahead->copies)
        return;
    uint32_t high = slab_high(&task_slab);
    ahead->first = ahead->end = slot;
    while (ahead->end < high && ahead->end - slot < SLOTS && ahead->count < STACKS_AHEAD) {
        struct park_record record;
        const struct taskprof_task *task = slab_at(&task_slab, ahead->end);
        if (task && is_wanted(task, &record))
            note(ahead, ahead->end, &record);
        ahead->end++;
    }
    copy(ahead);
}

bool stacks_ahead_get(struct stacks_ahead *ahead, uint32_t slot, uint64_t seq,
                      struct unwind_view *ret)
{
    if (slot < ahead->first || slot >= ahead->end)
        fill(ahead, slot);
    while (ahead->next < ahead->count && ahead->of[ahead->next].slot < slot)
        ahead->next++;
    unsigned at = ahead->next;
    if (at == ahead->count || ahead->of[at].slot != slot || ahead->of[at].seq != seq ||
        !ahead->of[at].whole)
        return false;
    *ret = (struct unwind_view){.low = ahead->of[at].sp,
                                .high = ahead->of[at].sp + ahead->bytes,
                                .copy = ahead->copies + at * ahead->bytes};
    return true;
}

void stacks_ahead_short(struct stacks_ahead *ahead)
{
    ahead->short_of++;
}
