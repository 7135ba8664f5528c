// "channel": one sample a channel, under the stack that made it.

#include "proto/stream.h"

static int prepare(struct pprof_stream *stream)
{
    stream->rows = stream->snapshot->channel_count;
    for (size_t i = 0; i < stream->rows; i++)
        places_add_stack(&stream->places, stream->snapshot->channels[i].creation);
    return 0;
}

static void add_origins(struct pprof_stream *stream)
{
    for (size_t i = 0; i < stream->rows; i++)
        if (stream->snapshot->channels[i].name[0] == 0)
            places_add_origin(&stream->places, stream->snapshot->channels[i].creation);
}

// A value must be a number that adds up, so that what is not known counts as 0 and says so.
static int64_t known(struct pprof_stream *stream, struct profile_sample *sample, const char *key,
                     int64_t value)
{
    if (value >= 0)
        return value;
    stream_label_text(stream, sample, key, "unknown", false);
    return 0;
}

static void sample(struct pprof_stream *stream, size_t number, struct profile_sample *ret)
{
    const struct snapshot_channel *channel = &stream->snapshot->channels[number];
    char room[ORIGIN_PLACE_MAX];
    ret->stack = channel->creation;
    stream_label_text(stream, ret, "channel",
                      label_channel(&stream->places, channel->name, channel->creation, room), true);
    stream_label_text(stream, ret, "closed", channel->reading.closed ? "true" : "false", false);
    ret->values[0] = known(stream, ret, "len", channel->reading.length);
    ret->values[1] = known(stream, ret, "cap", channel->reading.capacity);
    ret->values[2] = stream_value(channel->senders);
    ret->values[3] = stream_value(channel->receivers);
    ret->values[4] = stream_value(channel->wait_sum_ns);
}

static const struct profile_kind kind = {
    .types = {{"len", "count"},
              {"cap", "count"},
              {"senders", "count"},
              {"receivers", "count"},
              {"wait", "nanoseconds"}},
    // Most channels are empty or at rest: by length, a report would be one of zeros.
    .default_type = 4,
    .period = "channel",
    .prepare = prepare,
    .add_origins = add_origins,
    .sample = sample,
};

int pprof_channel(const struct snapshot *snapshot, struct pprof_stream **ret)
{
    return stream_open(&kind, snapshot, NULL, ret);
}
