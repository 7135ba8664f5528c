// "threadcreate": the threads that are there now, under the stacks that created them.

#include "proto/stream.h"

#include "profiler/base/hash.h"

#include <errno.h>

struct row {
    stack_id creation;
    uint64_t threads;
};

static int add(struct pprof_stream *stream, struct index *index, const struct snapshot_group *group)
{
    struct row *rows = stream->rows_data;
    uint32_t at;
    for (size_t step = 0; index_next(index, hash_word(group->creation), &step, &at);) {
        if (rows[at].creation == group->creation) {
            rows[at].threads += group->threads;
            return 0;
        }
    }
    at = (uint32_t)stream->rows++;
    rows[at] = (struct row){group->creation, group->threads};
    places_add_stack(&stream->places, group->creation);
    return index_add(index, hash_word(group->creation), at);
}

static int prepare(struct pprof_stream *stream)
{
    const struct snapshot *snapshot = stream->snapshot;
    stream->rows_data = arena_alloc(&stream->arena, snapshot->group_count * sizeof(struct row));
    if (!stream->rows_data)
        return -ENOMEM;
    struct index index = {0};
    int error = 0;
    for (size_t i = 0; i < snapshot->group_count && error == 0; i++)
        if (snapshot->groups[i].threads)
            error = add(stream, &index, &snapshot->groups[i]);
    index_release(&index);
    return error;
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
