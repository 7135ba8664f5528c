#include "profiler/symbols/ranges.h"

#include <errno.h>
#include <string.h>

static bool in_order(const struct range *a, const struct range *b)
{
    return a->low != b->low ? a->low < b->low : a->rank <= b->rank;
}

static void merge(const struct range *from, size_t left, size_t middle, size_t right,
                  struct range *into)
{
    size_t a = left;
    size_t b = middle;
    for (size_t at = left; at < right; at++) {
        bool take_left = a < middle && (b >= right || in_order(&from[a], &from[b]));
        into[at] = take_left ? from[a++] : from[b++];
    }
}

// A merge sort of our own, because the C library's qsort calls malloc.
int ranges_sort(struct buffer *ranges)
{
    size_t count = ranges_count(ranges);
    if (count < 2)
        return 0;
    struct range *scratch = memory_map(ranges->length);
    if (!scratch)
        return -ENOMEM;
    struct range *from = ranges_of(ranges);
    struct range *into = scratch;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t left = 0; left < count; left += 2 * width) {
            size_t middle = left + width < count ? left + width : count;
            size_t right = middle + width < count ? middle + width : count;
            merge(from, left, middle, right, into);
        }
        struct range *swap = from;
        from = into;
        into = swap;
    }
    if (from == scratch)
        memcpy(ranges->data, scratch, ranges->length);
    memory_unmap(scratch, ranges->length);
    return 0;
}

// The ranges that cover the sweep's position, innermost last, and where the pieces go.
struct sweep {
    const struct range *all;
    uint32_t *open; // indexes
    size_t depth;
    uint64_t position;
    struct buffer pieces;
};

static void emit(struct sweep *sweep, const struct range *range, uint64_t high)
{
    size_t count = ranges_count(&sweep->pieces);
    struct range *last = count ? &ranges_of(&sweep->pieces)[count - 1] : NULL;
    if (last && last->high == sweep->position && last->item == range->item &&
        last->origin == range->origin) {
        last->high = high;
        return;
    }
    struct range piece = *range;
    piece.low = sweep->position;
    piece.high = high;
    buffer_append(&sweep->pieces, &piece, sizeof(piece));
}

// Each turn drops a range for good or reaches the end of a piece, of which there are at most two a
// range: linear, whatever the ranges are.
static void advance(struct sweep *sweep, uint64_t until)
{
    while (sweep->depth && sweep->position < until) {
        const struct range *top = &sweep->all[sweep->open[sweep->depth - 1]];
        if (top->high <= sweep->position) {
            sweep->depth--;
            continue;
        }
        uint64_t high = top->high < until ? top->high : until;
        emit(sweep, top, high);
        sweep->position = high;
    }
    sweep->position = until;
}

int ranges_flatten(struct buffer *ranges)
{
    size_t count = ranges_count(ranges);
    if (count == 0)
        return 0;
    if (count > UINT32_MAX)
        return -ENOMEM;
    const struct range *all = ranges_of(ranges);
    struct sweep sweep = {.all = all, .open = memory_map(count * sizeof(*sweep.open))};
    if (!sweep.open)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        advance(&sweep, all[i].low);
        if (all[i].high > all[i].low)
            sweep.open[sweep.depth++] = i;
    }
    advance(&sweep, UINT64_MAX);
    memory_unmap(sweep.open, count * sizeof(*sweep.open));
    if (sweep.pieces.failed) {
        buffer_release(&sweep.pieces);
        return -ENOMEM;
    }
    buffer_release(ranges);
    *ranges = sweep.pieces;
    return 0;
}

const struct range *ranges_find(const struct buffer *ranges, uint64_t address)
{
    const struct range *all = ranges_of(ranges);
    size_t low = 0;
    size_t high = ranges_count(ranges);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && all[low - 1].high > address ? &all[low - 1] : NULL;
}
