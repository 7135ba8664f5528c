#include "profiler/base/budget.h"

#include "profiler/base/clock.h"
#include "profiler/base/span.h"

// After so long without another loss, tasks and channels of that time say themselves what they
// lack.
static const uint64_t TOLD_NS = 86400 * 1000000000ull;

// Those of which something was left out, the latest to be so first. Release at the push, acquire by
// who reads.
static _Atomic(struct budget *) listed;

static void list(struct budget *budget)
{
    if (atomic_exchange_explicit(&budget->listed, true, memory_order_relaxed))
        return;
    budget->next = atomic_load_explicit(&listed, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&listed, &budget->next, budget,
                                                  memory_order_release, memory_order_relaxed))
        continue;
}

void budget_leave_out(struct budget *budget)
{
    atomic_fetch_add_explicit(&budget->left_out, 1, memory_order_relaxed);
    atomic_store_explicit(&budget->last_left_out, clock_coarse_ns(), memory_order_relaxed);
    if (!atomic_load_explicit(&budget->listed, memory_order_relaxed))
        list(budget);
}

size_t budget_reports(struct budget_report *into, size_t max)
{
    size_t count = 0;
    uint64_t now = clock_coarse_ns();
    for (const struct budget *budget = atomic_load_explicit(&listed, memory_order_acquire);
         budget && count < max; budget = budget->next) {
        uint64_t last = atomic_load_explicit(&budget->last_left_out, memory_order_relaxed);
        // Signed: it may have been a moment after `now` was read.
        if ((int64_t)(now - last) > (int64_t)TOLD_NS)
            continue;
        into[count++] = (struct budget_report){
            .budget = budget,
            .left_out = atomic_load_explicit(&budget->left_out, memory_order_relaxed),
            .last_left_out = last,
        };
    }
    return count;
}

void budget_write(struct buffer *out, const struct budget_report *report, uint64_t now)
{
    const struct budget *budget = report->budget;
    buffer_printf(out, "missing: %s: no room %llu times, the last time ", budget->what,
                  (unsigned long long)report->left_out);
    span_write(out, now > report->last_left_out ? now - report->last_left_out : 0);
    buffer_string(out, " ago: the ");
    if (budget->limit >= 1 << 20)
        buffer_printf(out, "%zu MiB", budget->limit >> 20);
    else
        buffer_printf(out, "%zu KiB", budget->limit >> 10);
    buffer_printf(out, " for them were used up, or there was no memory; %s", budget->loss);
}
