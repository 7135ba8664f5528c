// "goroutine", one sample a task.

#include "proto/stream.h"

#include <errno.h>

// What the tasks of a group have in common is made up once: a sample of each group, without values.
static int prepare(struct pprof_stream *stream)
{
    const struct snapshot *snapshot = stream->snapshot;
    if (!snapshot->task_list && snapshot->tasks)
        return -EINVAL;
    stream->rows = snapshot->task_count;
    stream->rows_data =
        arena_alloc(&stream->arena, snapshot->group_count * sizeof(struct profile_sample));
    if (!stream->rows_data)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->group_count; i++)
        places_add_stack(&stream->places, snapshot->groups[i].stack);
    return 0;
}

static void add_origins(struct pprof_stream *stream)
{
    for (size_t i = 0; i < stream->snapshot->group_count; i++)
        stream_add_group_origins(stream, &stream->snapshot->groups[i]);
}

static void sample(struct pprof_stream *stream, size_t number, struct profile_sample *ret)
{
    const struct snapshot *snapshot = stream->snapshot;
    const struct snapshot_task *task = &snapshot->task_list[number];
    struct profile_sample *common = (struct profile_sample *)stream->rows_data + task->group;
    if (common->label_count == 0) {
        common->stack = snapshot->groups[task->group].stack;
        common->values[0] = 1;
        stream_label_group(stream, common, &snapshot->groups[task->group]);
    }
    *ret = *common;
    stream_label_number(stream, ret, "id", stream_value(task->id), "id");
    struct task_details details;
    if (snapshot_task_details(stream->snapshot, task, NULL, &details) && details.parent)
        stream_label_number(stream, ret, "creator", stream_value(details.parent), "id");
    const struct snapshot_lock_wait *wait = NULL;
    const struct snapshot_lock *lock = snapshot_lock_of(snapshot, task, &wait);
    if (lock && lock->owner_id)
        stream_label_number(stream, ret, "owner", stream_value(lock->owner_id), "id");
    if (lock && wait->deadlock != SNAPSHOT_NONE && !wait->behind)
        stream_label_number(stream, ret, "deadlock", wait->deadlock + 1, "id");
    if (task->wait_start_ns) {
        // One that began after the cut has waited for no time yet.
        uint64_t now = snapshot->monotonic_ns;
        ret->values[1] = stream_value(task->wait_start_ns < now ? now - task->wait_start_ns : 0);
        stream_label_number(stream, ret, "wait", ret->values[1], "nanoseconds");
    }
}

static const struct profile_kind kind = {
    .types = {{"goroutine", "count"}, {"wait", "nanoseconds"}},
    .period = "goroutine",
    .prepare = prepare,
    .add_origins = add_origins,
    .sample = sample,
};

int pprof_tasks(const struct snapshot *snapshot, struct pprof_stream **ret)
{
    return stream_open(&kind, snapshot, NULL, ret);
}
