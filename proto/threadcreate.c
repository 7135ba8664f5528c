// "threadcreate": the threads that are there now, under the stacks that created them.

#include "profiler/base/table.h"
#include "proto/stream.h"

#include <errno.h>

struct row {
    stack_id creation;
    uint64_t threads;
};

static bool add(struct pprof_stream *stream, struct table *by_stack,
                const struct snapshot_group *group)
{
    struct row *rows = stream->rows_data;
    uint32_t at = table_get(by_stack, group->creation);
    if (at == TABLE_NONE) {
        at = (uint32_t)stream->rows++;
        rows[at].creation = group->creation;
        places_add_stack(&stream->places, group->creation);
        if (!table_put(by_stack, group->creation, at))
            return false;
    }
    rows[at].threads += group->threads;
    return true;
}

static int prepare(struct pprof_stream *stream)
{
    const struct snapshot *snapshot = stream->snapshot;
    stream->rows_data = arena_alloc(&stream->arena, snapshot->group_count * sizeof(struct row));
    if (!stream->rows_data)
        return -ENOMEM;
    struct table by_stack = {0};
    bool added = true;
    for (size_t i = 0; i < snapshot->group_count && added; i++)
        if (snapshot->groups[i].threads)
            added = add(stream, &by_stack, &snapshot->groups[i]);
    table_release(&by_stack);
    return added ? 0 : -ENOMEM;
}

static void sample(struct pprof_stream *stream, size_t number, struct profile_sample *ret)
{
    const struct row *row = (const struct row *)stream->rows_data + number;
    ret->stack = row->creation;
    ret->values[0] = stream_value(row->threads);
}

static const struct profile_kind kind = {
    .types = {{"threadcreate", "count"}},
    .period = "threadcreate",
    .prepare = prepare,
    .sample = sample,
};

int pprof_threadcreate(const struct snapshot *snapshot, struct pprof_stream **ret)
{
    return stream_open(&kind, snapshot, NULL, ret);
}
