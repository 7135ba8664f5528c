#include "profiler/snapshot/threads_seen.h"

#include "profiler/base/array.h"

enum { FIRST_THREADS = 128 };

void threads_seen_begin(struct threads_seen *seen)
{
    struct thread_seen *list = seen->old;
    size_t capacity = seen->old_capacity;
    seen->old = seen->list;
    seen->old_count = seen->count;
    seen->old_capacity = seen->capacity;
    seen->list = list;
    seen->capacity = capacity;
    seen->count = 0;
    table_clear(&seen->old_by_tid);
    for (size_t i = 0; i < seen->old_count; i++)
        table_put(&seen->old_by_tid, (uint64_t)seen->old[i].tid, (uint32_t)i);
}

const struct thread_seen *threads_seen_find(const struct threads_seen *seen, pid_t tid,
                                            uint64_t start_ticks)
{
    uint32_t at = table_get(&seen->old_by_tid, (uint64_t)tid);
    if (at == TABLE_NONE || seen->old[at].start_ticks != start_ticks)
        return NULL;
    return &seen->old[at];
}

void threads_seen_note(struct threads_seen *seen, const struct thread_seen *thread)
{
    void *list =
        array_grow(seen->list, seen->count, &seen->capacity, sizeof(*seen->list), FIRST_THREADS);
    if (!list)
        return;
    seen->list = list;
    seen->list[seen->count++] = *thread;
}

void threads_seen_forget(struct threads_seen *seen)
{
    memory_unmap(seen->list, seen->capacity * sizeof(*seen->list));
    memory_unmap(seen->old, seen->old_capacity * sizeof(*seen->old));
    table_release(&seen->old_by_tid);
    *seen = (struct threads_seen){0};
}
