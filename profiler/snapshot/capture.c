#include "profiler/snapshot/capture.h"

#include "profiler/base/memory.h"
#include "profiler/base/safe_read.h"
#include "profiler/unwind/maps.h"

#include <string.h>

// Most stacks are whole in the first; the last is glibc's default size of a thread's stack.
static const size_t copy_sizes[] = {16 << 10, 256 << 10, 8 << 20};

#define COPY_MAX ((size_t)8 << 20)

void capture_begin(struct capture *capture)
{
    capture->maps_are_fresh = false;
    stacks_ahead_begin(&capture->ahead);
}

void capture_prepare(struct capture *capture)
{
    if (!capture->maps_are_fresh)
        capture->maps_error = maps_refresh(); // where /proc is hidden, the old picture has to do
    capture->maps_are_fresh = true;
}

static void nothing_read(struct capture *capture)
{
    capture->depth = 0;
    capture->end = STACK_BAD_FRAME;
    capture->known = 0;
    capture->in_place = false;
}

// Unwinds in a copy. false: a frame lay outside it, and may be inside a larger one.
static bool read_copy(struct capture *capture, const struct arch_regs *regs, unsigned known,
                      bool pc_is_exact, const struct unwind_view *view)
{
    capture->depth =
        unwind(regs, known, pc_is_exact, view, capture->frames, STACK_DEPTH_MAX, &capture->end);
    return !(capture->end & STACK_BAD_FRAME);
}

static void read_copied(struct capture *capture, const struct arch_regs *regs, unsigned known,
                        bool pc_is_exact)
{
    nothing_read(capture);
    if (!capture->copy)
        capture->copy = memory_map(COPY_MAX);
    for (size_t i = 0; i < sizeof(copy_sizes) / sizeof(*copy_sizes) && capture->copy; i++) {
        ssize_t got = safe_read(regs->sp, capture->copy, copy_sizes[i]);
        if (got <= 0)
            return;
        struct unwind_view view = {
            .low = regs->sp, .high = regs->sp + (uintptr_t)got, .copy = capture->copy};
        if (read_copy(capture, regs, known, pc_is_exact, &view) || (size_t)got < copy_sizes[i])
            return;
    }
}

void capture_parked(struct capture *capture, const struct taskprof_task *task,
                    const struct park_record *record)
{
    if (!task_owns_stack(task, record->regs.sp)) {
        struct unwind_view view;
        nothing_read(capture);
        bool ahead = stacks_ahead_get(&capture->ahead, task->slot, record->seq, &view);
        if (ahead && read_copy(capture, &record->regs, UNWIND_ALL_KNOWN, false, &view))
            return;
        if (ahead)
            stacks_ahead_short(&capture->ahead);
        read_copied(capture, &record->regs, UNWIND_ALL_KNOWN, false);
        return;
    }
    nothing_read(capture);
    capture->regs = record->regs;
    capture->view = (struct unwind_view){.low = record->regs.sp, .high = task->stack_high};
    capture->in_place = true;
    capture->known = memo_match(&capture->memo, &capture->regs, &capture->view);
    if (!capture->known)
        capture->depth = unwind(&capture->regs, UNWIND_ALL_KNOWN, false, &capture->view,
                                capture->frames, STACK_DEPTH_MAX, &capture->end);
}

void capture_in_syscall(struct capture *capture, uintptr_t sp, uintptr_t pc)
{
    struct arch_regs regs = {.pc = pc, .sp = sp};
    read_copied(capture, &regs, 0, true);
}

void capture_copy(struct capture *capture, const struct arch_regs *regs, const void *copy,
                  size_t length)
{
    struct unwind_view view = {.low = regs->sp, .high = regs->sp + length, .copy = copy};
    nothing_read(capture);
    capture->depth = unwind(regs, UNWIND_ALL_KNOWN, true, &view, capture->frames, STACK_DEPTH_MAX,
                            &capture->end);
}

stack_id capture_keep(struct capture *capture)
{
    if (capture->known)
        return capture->known;
    stack_id stack = stack_intern(capture->frames, capture->depth, capture->end);
    // The task may go on while it is learnt from: what is learnt fits itself, or nothing.
    if (capture->in_place)
        memo_learn(&capture->memo, &capture->regs, &capture->view, stack);
    return stack;
}

unsigned capture_waits(const struct taskprof_task *task, const struct park_record *record,
                       struct taskprof_wait *into, unsigned max)
{
    unsigned count = record->waits < max ? record->waits : max;
    size_t bytes = count * sizeof(*into);
    uintptr_t sp = record->regs.sp, array = record->object;
    if (!count || array % _Alignof(struct taskprof_wait) || array < sp)
        return 0;
    if (task_kind(task) == TASK_COROUTINE &&
        (!task_owns_stack(task, array) || task->stack_high - array < bytes))
        return 0;
    if (array - sp > COPY_MAX)
        return 0;
    ssize_t got = safe_read(array, into, bytes);
    return got == (ssize_t)bytes ? count : 0;
}
