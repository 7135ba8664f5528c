#include "proto/pack.h"

#include "profiler/base/hash.h"
#include "proto/profile.pb-c.h"

#include <errno.h>
#include <string.h>
#include <taskprof/taskprof.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

#define PROFILE PERFTOOLS__PROFILES__PROFILE__INIT

// Frames that stand for what is not known; they have no address.
static const char STACK_UNKNOWN_FRAME[] = "[stack unknown]";
static const char STACK_TRUNCATED_FRAME[] = "[truncated]";

// What makes a function another one.
struct function_key {
    uint32_t name;
    uint32_t file;
    uint32_t start_line;
};

// Each piece is a Profile message of its own, with one entry of a repeated field or some scalars:
// pieces that are read one behind the other are one profile.
static void append(struct pprof_stream *stream, const Profile *piece)
{
    size_t size = perftools__profiles__profile__get_packed_size(piece);
    uint8_t *to = (uint8_t *)buffer_reserve(&stream->packed, size);
    if (to)
        stream->packed.length += perftools__profiles__profile__pack(piece, to);
}

// The fields of a Profile of which there are many entries.
enum { FIELD_SAMPLE = 2, FIELD_MAPPING = 3, FIELD_LOCATION = 4, FIELD_FUNCTION = 5 };

// The most that one number takes with its field's tag, in the messages of such an entry; and what
// stands before a message or a packed list: a tag and a length.
static const size_t NUMBER_MOST = 11, PREFIX_MOST = 6;

// The same for one entry, of at most `most` bytes: half the work, because the size need not be
// found out first, nor all the other fields of a Profile be looked at twice.
static void append_entry(struct pprof_stream *stream, unsigned field, const void *message,
                         size_t most)
{
    uint8_t *to = (uint8_t *)buffer_reserve(&stream->packed, PREFIX_MOST + most);
    if (!to)
        return;
    enum { LENGTH_DELIMITED = 2 };
    uint8_t *body = to + 2;
    size_t size = protobuf_c_message_pack(message, body);
    *to++ = (uint8_t)(field << 3 | LENGTH_DELIMITED);
    unsigned more = 0; // bytes of the length beyond the one that there is room for
    for (size_t left = size >> 7; left; left >>= 7)
        more++;
    if (more)
        memmove(body + more, body, size);
    size_t left = size;
    for (; left > 127; left >>= 7)
        *to++ = (uint8_t)(left | 0x80);
    *to = (uint8_t)left;
    stream->packed.length += 2 + more + size;
}

// ---- mappings ----

static bool find_mapping(const struct snapshot *snapshot, uintptr_t address, size_t *ret)
{
    const struct mapping *mapping = snapshot_find_mapping(snapshot, address);
    if (mapping)
        *ret = (size_t)(mapping - snapshot->mappings);
    return mapping != NULL;
}

static uintptr_t call_address(const struct pprof_stream *stream, uint32_t place)
{
    uintptr_t address = places_address(&stream->places, place);
    return address ? address - 1 : 0;
}

// A promise falls with the first location that breaks it.
static void note_coverage(struct symbols_coverage *coverage, const struct symbol *symbol)
{
    bool known = symbol && symbol->count > 0;
    coverage->inlines &= known && symbol->has_lines;
    coverage->functions &= known;
    coverage->files &= known;
    coverage->lines &= known;
    for (unsigned i = 0; known && i < symbol->count; i++) {
        coverage->functions &= symbol->frames[i].function[0] != 0;
        coverage->files &= symbol->frames[i].function[0] != 0 && symbol->frames[i].file[0] != 0;
        coverage->lines &= symbol->frames[i].function[0] != 0 && symbol->frames[i].line != 0;
    }
}

int pack_prepare(struct pprof_stream *stream)
{
    const struct snapshot *snapshot = stream->snapshot;
    size_t count = snapshot->mapping_count;
    struct symbols_coverage *coverage = arena_alloc(&stream->arena, count * sizeof(*coverage));
    struct used_mapping *used = arena_alloc(&stream->arena, count * sizeof(*used));
    uint32_t *ids = arena_alloc(&stream->arena, count * sizeof(*ids));
    if (!coverage || !used || !ids)
        return -ENOMEM;
    for (uint32_t place = 0; place < stream->places.locations; place++) {
        size_t at;
        if (!find_mapping(snapshot, call_address(stream, place), &at))
            continue;
        if (!ids[at]) {
            ids[at] = 1;
            coverage[at] = (struct symbols_coverage){true, true, true, true};
        }
        note_coverage(&coverage[at], places_symbol(&stream->places, place));
    }
    // pprof takes the first mapping for the main binary, so that one is there in any case.
    if (snapshot->main_mapping < count)
        used[stream->used_mapping_count++].number = snapshot->main_mapping;
    for (size_t i = 0; i < count; i++)
        if (ids[i] && i != snapshot->main_mapping)
            used[stream->used_mapping_count++].number = i;
    for (size_t i = 0; i < stream->used_mapping_count; i++) {
        ids[used[i].number] = (uint32_t)i + 1;
        used[i].coverage = coverage[used[i].number];
    }
    stream->used_mappings = used;
    stream->mapping_ids = ids;
    return 0;
}

void pack_mapping(struct pprof_stream *stream, size_t next)
{
    const struct used_mapping *used = &stream->used_mappings[next];
    const struct mapping *from = &stream->snapshot->mappings[used->number];
    char build_id[2 * BUILD_ID_MAX + 1] = "";
    for (unsigned i = 0; i < from->build_id_length && i < BUILD_ID_MAX; i++) {
        build_id[2 * (size_t)i] = "0123456789abcdef"[from->build_id[i] >> 4];
        build_id[2 * (size_t)i + 1] = "0123456789abcdef"[from->build_id[i] & 15];
    }
    Mapping mapping = PERFTOOLS__PROFILES__MAPPING__INIT;
    mapping.id = next + 1;
    mapping.memory_start = from->start;
    mapping.memory_limit = from->limit;
    mapping.file_offset = from->offset;
    mapping.filename = string_table_add(&stream->strings, from->path);
    const char *kept = arena_string(&stream->arena, build_id, sizeof(build_id));
    if (kept)
        mapping.build_id = string_table_add(&stream->strings, kept);
    else
        stream->packed.failed = true;
    mapping.has_functions = used->coverage.functions;
    mapping.has_filenames = used->coverage.files;
    mapping.has_line_numbers = used->coverage.lines;
    mapping.has_inline_frames = used->coverage.inlines;
    append_entry(stream, FIELD_MAPPING, &mapping, 10 * NUMBER_MOST);
}

// ---- locations and functions ----

static uint64_t function_id(struct pprof_stream *stream, const char *name, const char *file,
                            uint32_t start_line)
{
    struct function_key key = {
        .name = (uint32_t)string_table_add(&stream->strings, name),
        .file = (uint32_t)string_table_add(&stream->strings, file),
        .start_line = start_line,
    };
    uint64_t hash = hash_mix((uint64_t)key.name << 32 | key.file, key.start_line);
    const struct function_key *known = (const struct function_key *)stream->functions.data;
    uint32_t at;
    for (size_t step = 0; index_next(&stream->functions_by_content, hash, &step, &at);)
        if (known[at].name == key.name && known[at].file == key.file &&
            known[at].start_line == key.start_line)
            return (uint64_t)at + 1;
    at = (uint32_t)(stream->functions.length / sizeof(key));
    buffer_append(&stream->functions, &key, sizeof(key));
    if (stream->functions.failed || index_add(&stream->functions_by_content, hash, at) < 0)
        stream->packed.failed = true;

    Function function = PERFTOOLS__PROFILES__FUNCTION__INIT;
    function.id = (uint64_t)at + 1;
    function.name = key.name;
    function.system_name = key.name;
    function.filename = key.file;
    function.start_line = start_line;
    append_entry(stream, FIELD_FUNCTION, &function, 5 * NUMBER_MOST);
    return function.id;
}

// More inlined frames at one address than compilers make; the outermost ones beyond it are left
// out.
enum { LINES_MAX = 64 };

static void append_location(struct pprof_stream *stream, Location *location,
                            const struct symbol_frame *frames, unsigned count)
{
    Line lines[LINES_MAX];
    Line *pointers[LINES_MAX];
    for (unsigned i = 0; i < count && i < LINES_MAX; i++) {
        if (frames[i].function[0] == 0)
            continue;
        Line *line = &lines[location->n_line];
        perftools__profiles__line__init(line);
        line->function_id =
            function_id(stream, frames[i].function, frames[i].file, frames[i].start_line);
        line->line = frames[i].line;
        pointers[location->n_line++] = line;
    }
    location->line = pointers;
    append_entry(stream, FIELD_LOCATION, location,
                 4 * NUMBER_MOST + location->n_line * (PREFIX_MOST + 2 * NUMBER_MOST));
    location->line = NULL;
}

static uint64_t unknown_location(const struct pprof_stream *stream)
{
    return (uint64_t)stream->places.locations + 1;
}

static uint64_t truncated_location(const struct pprof_stream *stream)
{
    return (uint64_t)stream->places.locations + 1 + stream->places.any_unknown;
}

size_t pack_location_count(const struct pprof_stream *stream)
{
    return (size_t)stream->places.locations + stream->places.any_unknown +
           stream->places.any_truncated;
}

void pack_location(struct pprof_stream *stream, size_t next)
{
    Location location = PERFTOOLS__PROFILES__LOCATION__INIT;
    location.id = next + 1;
    if (next >= stream->places.locations) {
        bool unknown = stream->places.any_unknown && location.id == unknown_location(stream);
        struct symbol_frame frame = {
            .function = unknown ? STACK_UNKNOWN_FRAME : STACK_TRUNCATED_FRAME,
            .file = "",
        };
        append_location(stream, &location, &frame, 1);
        return;
    }
    uint32_t place = (uint32_t)next;
    const struct symbol *symbol = places_symbol(&stream->places, place);
    location.address = call_address(stream, place);
    size_t at;
    if (find_mapping(stream->snapshot, location.address, &at))
        location.mapping_id = stream->mapping_ids[at];
    append_location(stream, &location, symbol ? symbol->frames : NULL, symbol ? symbol->count : 0);
}

// ---- the rest ----

void pack_sample(struct pprof_stream *stream, const struct profile_sample *sample)
{
    Sample message = PERFTOOLS__PROFILES__SAMPLE__INIT;
    uint64_t locations[STACK_DEPTH_MAX + 1];
    const struct place_stack *stack = places_stack(&stream->places, sample->stack);
    if (stack && stack->depth) {
        const uint32_t *frames = places_frames(&stream->places, stack);
        for (uint32_t i = 0; i < stack->depth && i < STACK_DEPTH_MAX; i++)
            locations[message.n_location_id++] = (uint64_t)frames[i] + 1;
        if (stack->truncated)
            locations[message.n_location_id++] = truncated_location(stream);
    } else {
        locations[message.n_location_id++] = unknown_location(stream);
    }
    message.location_id = locations;

    int64_t values[PROFILE_VALUES];
    while (stream->kind->types[message.n_value].type) {
        values[message.n_value] = sample->values[message.n_value];
        message.n_value++;
    }
    message.value = values;

    Label labels[PROFILE_LABELS];
    Label *pointers[PROFILE_LABELS];
    for (; message.n_label < sample->label_count; message.n_label++) {
        const struct profile_label *from = &sample->labels[message.n_label];
        Label *label = &labels[message.n_label];
        perftools__profiles__label__init(label);
        label->key = from->key;
        label->str = from->text;
        label->num = from->number;
        label->num_unit = from->unit;
        pointers[message.n_label] = label;
    }
    message.label = pointers;

    append_entry(stream, FIELD_SAMPLE, &message,
                 2 * PREFIX_MOST + (message.n_location_id + message.n_value) * NUMBER_MOST +
                     message.n_label * (PREFIX_MOST + 4 * NUMBER_MOST));
}

static ValueType value_type(struct pprof_stream *stream, const char *type, const char *unit)
{
    ValueType value = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
    value.type = string_table_add(&stream->strings, type);
    value.unit = string_table_add(&stream->strings, unit);
    return value;
}

// The text's place in the string table; releases it.
static int64_t keep_comment(struct pprof_stream *stream, struct buffer *text)
{
    const char *kept = text->failed ? NULL : arena_string(&stream->arena, text->data, text->length);
    buffer_release(text);
    if (!kept) {
        stream->packed.failed = true;
        return 0;
    }
    return string_table_add(&stream->strings, kept);
}

static int64_t comment(struct pprof_stream *stream)
{
    const struct snapshot *snapshot = stream->snapshot;
    struct buffer text = {0};
    buffer_printf(&text,
                  "taskprof %s: tasks=%llu threads=%llu coroutines=%llu parked=%llu moved=%llu "
                  "truncated=%llu unreadable=%llu created=%llu snapshot_ns=%llu",
                  TASKPROF_VERSION, (unsigned long long)snapshot->tasks,
                  (unsigned long long)snapshot->threads, (unsigned long long)snapshot->coroutines,
                  (unsigned long long)snapshot->parked, (unsigned long long)snapshot->moved,
                  (unsigned long long)snapshot->truncated, (unsigned long long)snapshot->unreadable,
                  (unsigned long long)snapshot->created, (unsigned long long)snapshot->duration_ns);
    return keep_comment(stream, &text);
}

// Of a table in which something had no room.
static int64_t comment_left_out(struct pprof_stream *stream, const struct budget_report *report)
{
    struct buffer text = {0};
    budget_write(&text, report, stream->snapshot->monotonic_ns);
    return keep_comment(stream, &text);
}

void pack_header(struct pprof_stream *stream)
{
    const struct profile_kind *kind = stream->kind;
    Profile piece = PROFILE;
    ValueType types[PROFILE_VALUES];
    ValueType *pointers[PROFILE_VALUES];
    for (; kind->types[piece.n_sample_type].type; piece.n_sample_type++) {
        size_t i = piece.n_sample_type;
        types[i] = value_type(stream, kind->types[i].type, kind->types[i].unit);
        pointers[i] = &types[i];
    }
    piece.sample_type = pointers;
    piece.default_sample_type =
        string_table_add(&stream->strings, kind->types[kind->default_type].type);
    ValueType period = value_type(stream, kind->period, "count");
    piece.period_type = &period;
    piece.period = 1;
    piece.time_nanos = stream_value(stream->snapshot->time_ns);
    if (stream->before)
        piece.duration_nanos =
            (int64_t)(stream->snapshot->monotonic_ns - stream->before->monotonic_ns);
    int64_t comments[1 + BUDGET_REPORTS] = {comment(stream)};
    piece.n_comment = 1;
    for (size_t i = 0; i < stream->snapshot->left_out_count; i++)
        comments[piece.n_comment++] = comment_left_out(stream, &stream->snapshot->left_out[i]);
    piece.comment = comments;
    append(stream, &piece);
}

void pack_strings(struct pprof_stream *stream)
{
    for (; stream->strings_packed < string_table_count(&stream->strings);
         stream->strings_packed++) {
        // protobuf-c wants char *, and only reads it.
        char *text = (char *)string_table_get(&stream->strings, stream->strings_packed);
        Profile piece = PROFILE;
        piece.n_string_table = 1;
        piece.string_table = &text;
        append(stream, &piece);
    }
}
