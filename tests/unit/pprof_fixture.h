// A world for the encoder: stacks, symbols and channel classes made by hand, so that inlined
// frames, missing names and broken text are there when a test wants them. Also reads profiles back.

#pragma once

#include "profiler/base/clock.h"
#include "profiler/channels/channel.h"
#include "profiler/symbols/symbols.h"
#include "proto/pprof.h"
#include "proto/profile.pb-c.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Function Function;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Label Label;

// ---- the world ----

enum {
    MAIN_START = 0x400000,
    LIBC_START = 0x7f0000000000,
    VDSO_START = 0x7fff00000000,
    MAPPING_SIZE = 0x100000,
    FAKE_STACKS = 10240,
    FAKE_DEPTH = 32,
    FAKE_SYMBOLS = 4096,
};

static struct {
    struct stack stack;
    uintptr_t frames[FAKE_DEPTH];
} fake_stacks[FAKE_STACKS];
static unsigned fake_stack_count = 1; // id 0 is no stack
static struct symbol fake_symbols[FAKE_SYMBOLS];
static unsigned fake_symbol_count;
static size_t resolve_calls;
static uint64_t resolve_ns;

const struct stack *stack_get(stack_id id)
{
    static const struct stack none;
    return id && id < fake_stack_count ? &fake_stacks[id].stack : &none;
}

static inline stack_id fake_stack(unsigned end, unsigned depth, const uintptr_t *frames)
{
    stack_id id = fake_stack_count++;
    assert_true(id < FAKE_STACKS && depth <= FAKE_DEPTH);
    fake_stacks[id].stack.depth = depth;
    fake_stacks[id].stack.end = end;
    memcpy((char *)&fake_stacks[id] + offsetof(struct stack, frames), frames,
           depth * sizeof(*frames));
    return id;
}

// The stack of these return addresses, leaf first.
#define STACK(...)                                                                  \
    fake_stack(STACK_WHOLE, sizeof((uintptr_t[]){__VA_ARGS__}) / sizeof(uintptr_t), \
               (uintptr_t[]){__VA_ARGS__})

static inline void fake_symbol(uintptr_t address, unsigned count, const struct symbol_frame *frames)
{
    assert_true(fake_symbol_count < FAKE_SYMBOLS);
    fake_symbols[fake_symbol_count++] = (struct symbol){
        .address = address,
        .count = count,
        .has_lines = frames[0].line != 0,
        .frames = frames,
    };
}

// What stands at a return address: {function, file, line, start line} …, the innermost first.
#define SYMBOL(address, ...)                                                 \
    do {                                                                     \
        static const struct symbol_frame frames_[] = {__VA_ARGS__};          \
        fake_symbol((address), sizeof(frames_) / sizeof(*frames_), frames_); \
    } while (0)

int symbols_resolve(const uintptr_t *addresses, size_t count, const struct symbol **ret)
{
    static const struct symbol_frame nothing = {.function = "", .file = ""};
    static const struct symbol unknown = {.count = 1, .frames = &nothing};
    resolve_calls++;
    uint64_t started = clock_monotonic_ns();
    for (size_t i = 0; i < count; i++) {
        ret[i] = &unknown;
        for (unsigned j = 0; j < fake_symbol_count; j++)
            if (fake_symbols[j].address == addresses[i])
                ret[i] = &fake_symbols[j];
    }
    resolve_ns += clock_monotonic_ns() - started;
    return 0;
}

static struct channel_class fake_classes[8];

const struct channel_class *channel_class_get(uint32_t class_id)
{
    return class_id < 8 ? &fake_classes[class_id] : NULL;
}

static inline void name_class(uint32_t class, const char *name)
{
    snprintf(fake_classes[class].name, sizeof(fake_classes[class].name), "%s", name);
}

bool snapshot_task_details(const struct snapshot *snapshot, const struct snapshot_task *task,
                           struct details_reader *reader, struct task_details *ret)
{
    (void)snapshot;
    (void)reader;
    *ret = (struct task_details){.parent = 1};
    return task->slot != UINT32_MAX; // that one is gone
}

static struct mapping fake_mappings[] = {
    {.start = MAIN_START,
     .limit = MAIN_START + MAPPING_SIZE,
     .offset = 0x1000,
     .path = "/opt/shop/server",
     .build_id_length = 4,
     .build_id = {0xde, 0xad, 0x00, 0x0f}},
    {.start = LIBC_START, .limit = LIBC_START + MAPPING_SIZE, .path = "/lib/libc.so.6"},
    {.start = VDSO_START, .limit = VDSO_START + 0x1000, .path = "[vdso]"},
};

static inline int fresh_world(void **state)
{
    (void)state;
    fake_stack_count = 1;
    fake_symbol_count = 0;
    resolve_calls = 0;
    memset(fake_classes, 0, sizeof(fake_classes));
    return 0;
}

static struct snapshot fake_snapshot(struct snapshot_group *groups, size_t count)
{
    struct snapshot snapshot = {
        .time_ns = 1700000000123456789,
        .monotonic_ns = 5000000000,
        .duration_ns = 77,
        .groups = groups,
        .group_count = count,
        .mappings = fake_mappings,
        .mapping_count = sizeof(fake_mappings) / sizeof(*fake_mappings),
    };
    for (size_t i = 0; i < count; i++)
        snapshot.tasks += groups[i].count;
    return snapshot;
}

// ---- reading back ----

// The gzipped profile, read `step` bytes at a time. Frees the stream.
static inline size_t drain(struct pprof_stream *stream, size_t step, unsigned char **ret)
{
    size_t length = 0;
    size_t capacity = step;
    unsigned char *data = malloc(capacity);
    for (ssize_t got; (got = pprof_read(stream, data + length, step)) != 0;) {
        assert_true(got > 0 && (size_t)got <= step);
        length += (size_t)got;
        if (capacity - length < step)
            data = realloc(data, capacity = 2 * capacity + step);
    }
    pprof_free(stream);
    *ret = data;
    return length;
}

static inline size_t unzipped(const unsigned char *data, size_t length, unsigned char **ret)
{
    size_t capacity = 1 << 16;
    unsigned char *out = malloc(capacity);
    z_stream zlib = {.next_in = (unsigned char *)data, .avail_in = (unsigned)length};
    assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
    int result;
    do {
        if (zlib.total_out == capacity)
            out = realloc(out, capacity *= 2);
        zlib.next_out = out + zlib.total_out;
        zlib.avail_out = (unsigned)(capacity - zlib.total_out);
        result = inflate(&zlib, Z_NO_FLUSH);
        assert_true(result == Z_OK || result == Z_STREAM_END);
    } while (result != Z_STREAM_END);
    assert_int_equal(zlib.avail_in, 0);
    size_t size = zlib.total_out;
    inflateEnd(&zlib);
    *ret = out;
    return size;
}

static inline Profile *decoded(struct pprof_stream *stream)
{
    unsigned char *zipped;
    unsigned char *plain;
    size_t length = drain(stream, 4096, &zipped);
    size_t size = unzipped(zipped, length, &plain);
    Profile *profile = perftools__profiles__profile__unpack(NULL, size, plain);
    assert_non_null(profile);
    free(zipped);
    free(plain);
    return profile;
}

static inline void free_profile(Profile *profile)
{
    perftools__profiles__profile__free_unpacked(profile, NULL);
}

static inline const char *text(const Profile *profile, int64_t index)
{
    assert_in_range(index, 0, profile->n_string_table - 1);
    return profile->string_table[index];
}

static inline const Label *label(const Profile *profile, const Sample *sample, const char *key)
{
    for (size_t i = 0; i < sample->n_label; i++)
        if (strcmp(text(profile, sample->label[i]->key), key) == 0)
            return sample->label[i];
    return NULL;
}

static inline void assert_label(const Profile *profile, const Sample *sample, const char *key,
                                const char *value)
{
    const Label *found = label(profile, sample, key);
    if (!value) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(text(profile, found->str), value);
    assert_int_equal(found->num, 0);
}

static inline const Location *location(const Profile *profile, const Sample *sample, size_t frame)
{
    assert_in_range(frame, 0, sample->n_location_id - 1);
    assert_in_range(sample->location_id[frame], 1, profile->n_location);
    return profile->location[sample->location_id[frame] - 1];
}

// The name of a line of a frame.
static inline const char *function(const Profile *profile, const Sample *sample, size_t frame,
                                   size_t line)
{
    const Location *where = location(profile, sample, frame);
    assert_in_range(line, 0, where->n_line - 1);
    assert_in_range(where->line[line]->function_id, 1, profile->n_function);
    return text(profile, profile->function[where->line[line]->function_id - 1]->name);
}

static inline const Mapping *mapping(const Profile *profile, const char *path)
{
    for (size_t i = 0; i < profile->n_mapping; i++)
        if (strcmp(text(profile, profile->mapping[i]->filename), path) == 0)
            return profile->mapping[i];
    return NULL;
}
