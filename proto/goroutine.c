// "goroutine": one sample a group, or what became of each group since an earlier snapshot.

#include "proto/stream.h"

#include "profiler/base/hash.h"

#include <errno.h>

struct row {
    const struct snapshot_group *group;
    int64_t count;
    int64_t wait_ns;
};

static uint64_t hash_group(const struct snapshot_group *group)
{
    uint64_t what =
        (uint64_t)group->activity << 32 | (uint64_t)group->reason << 16 | group->syscall;
    return hash_mix(hash_mix(what, group->channel_class),
                    (uint64_t)group->stack << 32 | group->creation);
}

static bool same_group(const struct snapshot_group *a, const struct snapshot_group *b)
{
    return a->activity == b->activity && a->reason == b->reason && a->syscall == b->syscall &&
           a->channel_class == b->channel_class && a->stack == b->stack &&
           a->creation == b->creation;
}

// Subtracts a group from the row of the same kind of tasks, or makes a row of its own.
static void subtract(struct row *rows, size_t *count, const struct index *index,
                     const struct snapshot_group *group)
{
    struct row *row = NULL;
    uint32_t at;
    for (size_t step = 0; !row && index_next(index, hash_group(group), &step, &at);)
        if (same_group(rows[at].group, group))
            row = &rows[at];
    if (!row) {
        row = &rows[(*count)++];
        row->group = group;
    }
    row->count -= stream_value(group->count);
    row->wait_ns -= stream_value(group->wait_sum_ns);
}

static int fill_rows(struct pprof_stream *stream, struct row *rows, struct index *index)
{
    const struct snapshot *now = stream->snapshot;
    size_t count = 0;
    for (; count < now->group_count; count++) {
        const struct snapshot_group *group = &now->groups[count];
        rows[count] =
            (struct row){group, stream_value(group->count), stream_value(group->wait_sum_ns)};
        if (stream->before && index_add(index, hash_group(group), (uint32_t)count) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; stream->before && i < stream->before->group_count; i++)
        subtract(rows, &count, index, &stream->before->groups[i]);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].count == 0 && rows[i].wait_ns == 0)
            continue;
        rows[stream->rows++] = rows[i];
        places_add_stack(&stream->places, rows[i].group->stack);
    }
    return 0;
}

static int prepare(struct pprof_stream *stream)
{
    size_t most =
        stream->snapshot->group_count + (stream->before ? stream->before->group_count : 0);
    struct row *rows = arena_alloc(&stream->arena, most * sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    stream->rows_data = rows;
    struct index index = {0};
    int error = fill_rows(stream, rows, &index);
    index_release(&index);
    return error;
}

static void add_origins(struct pprof_stream *stream)
{
    const struct row *rows = stream->rows_data;
    for (size_t i = 0; i < stream->rows; i++)
        stream_add_group_origins(stream, rows[i].group);
}

static void sample(struct pprof_stream *stream, size_t number, struct profile_sample *ret)
{
    const struct row *row = (const struct row *)stream->rows_data + number;
    ret->stack = row->group->stack;
    ret->values[0] = row->count;
    ret->values[1] = row->wait_ns;
    stream_label_group(stream, ret, row->group);
}

static const struct profile_kind kind = {
    .types = {{"goroutine", "count"}, {"wait", "nanoseconds"}},
    .period = "goroutine",
    .prepare = prepare,
    .add_origins = add_origins,
    .sample = sample,
};

int pprof_goroutine(const struct snapshot *snapshot, const struct snapshot *before,
                    struct pprof_stream **ret)
{
    return stream_open(&kind, snapshot, before, ret);
}
