#include "text/pick.h"

#include <errno.h>

// A group's part of what is picked.
struct part {
    uint32_t tasks; // that the filters let through
    uint32_t share; // of them to be picked
    uint32_t first; // where its share begins in `order`
    uint32_t taken;
};

struct picking {
    struct snapshot *snapshot;
    const struct filter *filter;
    struct part *parts; // by group
    uint32_t *order;
};

// Whether a task has to stand before another of its group.
static bool comes_before(const struct picking *picking, uint32_t a, uint32_t b)
{
    const struct snapshot_task *list = picking->snapshot->task_list;
    // What does not wait has 0 for its start, and comes last: 0 - 1 is the largest of all.
    uint64_t start_a = list[a].wait_start_ns - 1;
    uint64_t start_b = list[b].wait_start_ns - 1;
    return start_a != start_b ? start_a < start_b : a < b;
}

// A heap's root is the one that stands last. Makes it one again below `at`.
static void sink(const struct picking *picking, uint32_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t last = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (comes_before(picking, heap[last], heap[child]))
                last = child;
        if (last == at)
            return;
        uint32_t task = heap[at];
        heap[at] = heap[last];
        heap[last] = task;
        at = last;
    }
}

static void take(const struct picking *picking, struct part *part, uint32_t task)
{
    uint32_t *heap = picking->order + part->first;
    if (part->taken < part->share) {
        heap[part->taken++] = task;
        if (picking->filter->limit && part->taken == part->share)
            for (size_t i = part->share / 2; i-- > 0;)
                sink(picking, heap, part->share, i);
    } else if (part->share && comes_before(picking, task, heap[0])) {
        heap[0] = task;
        sink(picking, heap, part->share, 0);
    }
}

static void heap_to_order(const struct picking *picking, const struct part *part)
{
    uint32_t *heap = picking->order + part->first;
    for (size_t left = part->taken; left > 1; left--) {
        uint32_t last = heap[0];
        heap[0] = heap[left - 1];
        heap[left - 1] = last;
        sink(picking, heap, left - 1, 0);
    }
}

static uint64_t shared_out(const struct picking *picking, uint32_t most)
{
    uint64_t sum = 0;
    for (size_t g = 0; g < picking->snapshot->group_count; g++) {
        uint32_t tasks = picking->parts[g].tasks;
        sum += tasks < most ? tasks : most;
    }
    return sum;
}

// Sets the shares so that they add up to the limit, which is less than there are tasks.
static void share(const struct picking *picking, uint32_t limit)
{
    // As water fills a vessel: the highest level at which all groups together stay in the limit.
    uint32_t level = 0;
    for (uint32_t high = limit; level < high;) {
        uint32_t middle = high - (high - level) / 2;
        if (shared_out(picking, middle) <= limit)
            level = middle;
        else
            high = middle - 1;
    }
    uint64_t rest = limit - shared_out(picking, level);
    for (size_t g = 0; g < picking->snapshot->group_count; g++) {
        struct part *part = &picking->parts[g];
        bool one_more = rest && part->tasks > level;
        part->share = part->tasks < level ? part->tasks : level + one_more;
        rest -= one_more;
    }
}

// The part that a task belongs to; NULL: the filters exclude it.
static struct part *part_of(const struct picking *picking, const struct snapshot_task *task,
                            const bool *shown)
{
    if (task->group >= picking->snapshot->group_count || !shown[task->group] ||
        !filter_task(picking->filter, picking->snapshot, task))
        return NULL;
    return &picking->parts[task->group];
}

int pick_tasks(struct snapshot *snapshot, const struct filter *filter, struct pick *ret)
{
    size_t groups = snapshot->group_count;
    struct picking picking = {.snapshot = snapshot, .filter = filter};
    struct pick pick = {0};
    picking.parts = arena_alloc(&snapshot->arena, (groups + 1) * sizeof(*picking.parts));
    bool *shown = arena_alloc(&snapshot->arena, groups + 1);
    if (!picking.parts || !shown)
        return -ENOMEM;
    for (size_t g = 0; g < groups; g++)
        shown[g] = filter_group(filter, &snapshot->groups[g]);
    for (size_t i = 0; i < snapshot->task_count; i++) {
        struct part *part = part_of(&picking, &snapshot->task_list[i], shown);
        if (part)
            part->share = ++part->tasks;
        pick.count += part != NULL;
    }
    pick.excluded = snapshot->task_count - pick.count;
    if (filter->limit && pick.count > filter->limit) {
        share(&picking, (uint32_t)filter->limit);
        pick.left_out = pick.count - filter->limit;
        pick.count = filter->limit;
    }
    for (size_t g = 1; g < groups; g++)
        picking.parts[g].first = picking.parts[g - 1].first + picking.parts[g - 1].share;
    if (pick.count) {
        pick.bytes = pick.count * sizeof(*pick.order);
        pick.order = memory_map(pick.bytes);
        if (!pick.order)
            return -ENOMEM;
        picking.order = pick.order;
        for (size_t i = 0; i < snapshot->task_count; i++) {
            struct part *part = part_of(&picking, &snapshot->task_list[i], shown);
            if (part)
                take(&picking, part, (uint32_t)i);
        }
        for (size_t g = 0; g < groups && filter->limit; g++)
            heap_to_order(&picking, &picking.parts[g]);
    }
    *ret = pick;
    return 0;
}

int pick_apply(const struct pick *pick, struct snapshot *snapshot)
{
    if (pick->count == snapshot->task_count)
        return 0;
    bool *picked = memory_map(snapshot->task_count);
    if (!picked)
        return -ENOMEM;
    for (size_t i = 0; i < pick->count; i++)
        picked[pick->order[i]] = true;
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->task_count; i++)
        if (picked[i])
            snapshot->task_list[kept++] = snapshot->task_list[i];
    memory_unmap(picked, snapshot->task_count);
    snapshot->task_count = kept;
    return 0;
}

void pick_release(struct pick *pick)
{
    memory_unmap(pick->order, pick->bytes);
    *pick = (struct pick){0};
}
