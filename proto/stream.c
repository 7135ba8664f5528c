#include "proto/stream.h"

#include "proto/pack.h"

#include <errno.h>
#include <string.h>

enum {
    PACKED_AT_ONCE = 64 * 1024, // serialised bytes that one round aims at
    GZIP = 15 + 16,             // window bits of zlib's gzip format
    LEVEL = 1,                  // a third of level 6's time, 4 to 7 % more bytes
    ZLIB_MEMORY = 8,            // zlib's default
};

// ---- opening ----

static void *zlib_alloc(void *arena, unsigned items, unsigned size)
{
    return arena_alloc(arena, (size_t)items * size);
}

static void zlib_free(void *arena, void *memory)
{
    (void)arena; // goes with the stream
    (void)memory;
}

static int prepare(struct pprof_stream *stream)
{
    string_table_add(&stream->strings, "");
    int error = stream->kind->prepare(stream);
    if (error < 0)
        return error;
    places_seal(&stream->places);
    if (stream->kind->add_origins)
        stream->kind->add_origins(stream);
    error = places_resolve(&stream->places);
    if (error < 0)
        return error;
    error = pack_prepare(stream);
    if (error < 0)
        return error;
    stream->zlib.zalloc = zlib_alloc;
    stream->zlib.zfree = zlib_free;
    stream->zlib.opaque = &stream->arena;
    return deflateInit2(&stream->zlib, LEVEL, Z_DEFLATED, GZIP, ZLIB_MEMORY, Z_DEFAULT_STRATEGY) ==
                   Z_OK
               ? 0
               : -ENOMEM;
}

int stream_open(const struct profile_kind *kind, const struct snapshot *snapshot,
                const struct snapshot *before, struct pprof_stream **ret)
{
    struct pprof_stream *stream = memory_map(sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    stream->kind = kind;
    stream->snapshot = snapshot;
    stream->before = before;
    stream->strings.arena = &stream->arena;
    int error = prepare(stream);
    if (error < 0) {
        pprof_free(stream);
        return error;
    }
    *ret = stream;
    return 0;
}

void pprof_free(struct pprof_stream *stream)
{
    if (!stream)
        return;
    string_table_release(&stream->strings);
    places_release(&stream->places);
    index_release(&stream->functions_by_content);
    buffer_release(&stream->functions);
    buffer_release(&stream->packed);
    arena_release(&stream->arena);
    memory_unmap(stream, sizeof(*stream));
}

// ---- reading ----

static bool pack_next(struct pprof_stream *stream)
{
    size_t next = stream->next;
    size_t count = 0;
    switch (stream->part) {
    case PROFILE_HEADER:
        count = 1;
        pack_header(stream);
        break;
    case PROFILE_MAPPINGS:
        count = stream->used_mapping_count;
        if (next < count)
            pack_mapping(stream, next);
        break;
    case PROFILE_LOCATIONS:
        count = pack_location_count(stream);
        if (next < count)
            pack_location(stream, next);
        break;
    case PROFILE_SAMPLES:
        count = stream->rows;
        if (next < count) {
            struct profile_sample sample = {0};
            stream->kind->sample(stream, next, &sample);
            pack_sample(stream, &sample);
        }
        break;
    case PROFILE_DONE:
        return false;
    }
    if (++stream->next >= count) {
        stream->part++;
        stream->next = 0;
    }
    return true;
}

// Serialises some more. 0 or -ENOMEM.
static int refill(struct pprof_stream *stream)
{
    stream->packed.length = 0;
    while (stream->packed.length < PACKED_AT_ONCE && pack_next(stream))
        ;
    pack_strings(stream);
    if (stream->packed.failed || stream->strings.texts.failed)
        return -ENOMEM;
    stream->zlib.next_in = (unsigned char *)stream->packed.data;
    stream->zlib.avail_in = (unsigned)stream->packed.length;
    return 0;
}

ssize_t pprof_read(struct pprof_stream *stream, void *into, size_t room)
{
    if (stream->error)
        return stream->error;
    if (room == 0)
        return -EINVAL; // 0 would say that this is the end
    z_stream *zlib = &stream->zlib;
    unsigned most = room < 1u << 30 ? (unsigned)room : 1u << 30;
    zlib->next_out = into;
    zlib->avail_out = most;
    while (zlib->avail_out && !stream->finished) {
        if (zlib->avail_in == 0 && stream->part != PROFILE_DONE) {
            stream->error = refill(stream);
            if (stream->error)
                return stream->error;
        }
        int result = deflate(zlib, stream->part == PROFILE_DONE ? Z_FINISH : Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            stream->finished = true;
        else if (result != Z_OK)
            return stream->error = -EIO;
    }
    return most - zlib->avail_out;
}

// ---- labels ----

void stream_label_text(struct pprof_stream *stream, struct profile_sample *sample, const char *key,
                       const char *text, bool is_temporary)
{
    if (!text || text[0] == 0 || sample->label_count == PROFILE_LABELS)
        return;
    int64_t index = is_temporary ? string_table_add_copy(&stream->strings, text)
                                 : string_table_add(&stream->strings, text);
    sample->labels[sample->label_count++] = (struct profile_label){
        .key = string_table_add(&stream->strings, key),
        .text = index,
    };
}

void stream_label_number(struct pprof_stream *stream, struct profile_sample *sample,
                         const char *key, int64_t number, const char *unit)
{
    if (sample->label_count == PROFILE_LABELS)
        return;
    sample->labels[sample->label_count++] = (struct profile_label){
        .key = string_table_add(&stream->strings, key),
        .number = number,
        .unit = string_table_add(&stream->strings, unit),
    };
}

void stream_label_group(struct pprof_stream *stream, struct profile_sample *sample,
                        const struct snapshot_group *group)
{
    char room[ORIGIN_PLACE_MAX];
    stream_label_text(stream, sample, "state", snapshot_state_text(group), false);
    const struct channel_class *class = channel_class_get(group->channel_class);
    if (class && group->channel_class)
        stream_label_text(stream, sample, "channel",
                          label_channel(&stream->places, class->name, class->creation, room), true);
    stream_label_text(stream, sample, "created_by",
                      label_created_by(&stream->places, group->creation, room), true);
}

void stream_add_group_origins(struct pprof_stream *stream, const struct snapshot_group *group)
{
    places_add_origin(&stream->places, group->creation);
    const struct channel_class *class = channel_class_get(group->channel_class);
    if (class && group->channel_class && class->name[0] == 0)
        places_add_origin(&stream->places, class->creation);
}
