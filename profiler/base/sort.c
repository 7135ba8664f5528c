#include "profiler/base/sort.h"

#include <stdbool.h>

// Whether `a` belongs behind `b`.
static bool after(const struct sort_item *a, const struct sort_item *b)
{
    return a->key < b->key || (a->key == b->key && a->index > b->index);
}

// Restores the heap whose top is the item that belongs last.
static void sift(struct sort_item *items, size_t top, size_t count)
{
    struct sort_item moving = items[top];
    size_t child;
    while ((child = 2 * top + 1) < count) {
        if (child + 1 < count && after(&items[child + 1], &items[child]))
            child++;
        if (!after(&items[child], &moving))
            break;
        items[top] = items[child];
        top = child;
    }
    items[top] = moving;
}

void sort_descending(struct sort_item *items, size_t count)
{
    for (size_t top = count / 2; top-- > 0;)
        sift(items, top, count);
    for (size_t end = count; end > 1; end--) {
        struct sort_item last = items[0];
        items[0] = items[end - 1];
        items[end - 1] = last;
        sift(items, 0, end - 1);
    }
}
