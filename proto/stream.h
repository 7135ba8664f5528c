// How every profile is produced: what the kinds have in common, piece by piece.
//
// A kind says which stacks it will speak of, and then, row by row, what each sample is. The stream
// does all else: tables, ids, labels, packing, gzip.

#pragma once

#include "proto/index.h"
#include "proto/labels.h"
#include "proto/places.h"
#include "proto/pprof.h"
#include "proto/string_table.h"

#include <zlib.h>

enum { PROFILE_VALUES = 5, PROFILE_LABELS = 8 };

struct profile_label {
    int64_t key;  // all but `number`: indexes in the string table
    int64_t text; // 0: a number
    int64_t number;
    int64_t unit;
};

struct profile_sample {
    stack_id stack;
    int64_t values[PROFILE_VALUES]; // as many as the kind has types
    unsigned label_count;
    struct profile_label labels[PROFILE_LABELS];
};

struct profile_kind {
    // {type, unit} of each value; a NULL type ends them.
    struct {
        const char *type;
        const char *unit;
    } types[PROFILE_VALUES + 1];
    unsigned default_type; // the one that pprof shows unless it is told otherwise
    const char *period;    // the type of period, counted in "count"

    // Sets stream->rows, and adds the stacks of all samples with places_add_stack.
    // 0 or a negative errno.
    int (*prepare)(struct pprof_stream *stream);
    // Adds the stacks that labels are made from with places_add_origin.
    void (*add_origins)(struct pprof_stream *stream);
    // Fills the zeroed *sample for row 0 … rows-1, each once and in order.
    void (*sample)(struct pprof_stream *stream, size_t row, struct profile_sample *sample);
};

// What is written next.
enum profile_part {
    PROFILE_HEADER,
    PROFILE_MAPPINGS,
    PROFILE_LOCATIONS,
    PROFILE_SAMPLES,
    PROFILE_DONE,
};

struct pprof_stream {
    const struct profile_kind *kind;
    const struct snapshot *snapshot;
    const struct snapshot *before;
    struct arena arena; // the stream itself, zlib's state, small tables
    struct string_table strings;
    struct places places;
    struct index functions_by_content;
    struct buffer functions; // struct profile_function
    uint32_t *mapping_ids;   // of snapshot->mappings; 0: not in use
    struct used_mapping {
        size_t number; // in snapshot->mappings
        struct symbols_coverage coverage;
    } * used_mappings; // the main binary's, then those that hold a location
    size_t used_mapping_count;
    void *rows_data; // the kind's own
    size_t rows;

    enum profile_part part;
    size_t next;             // in the part
    uint32_t strings_packed; // of the string table
    struct buffer packed;    // serialised, not yet compressed
    z_stream zlib;
    bool finished;
    int error; // negative errno that ended the stream
};

// Makes a stream of this kind.
int stream_open(const struct profile_kind *kind, const struct snapshot *snapshot,
                const struct snapshot *before, struct pprof_stream **ret);

// Adds a label to a sample. A NULL text adds nothing. `text` is copied if `is_temporary`.
void stream_label_text(struct pprof_stream *stream, struct profile_sample *sample, const char *key,
                       const char *text, bool is_temporary);
void stream_label_number(struct pprof_stream *stream, struct profile_sample *sample,
                         const char *key, int64_t number, const char *unit);

// The labels state, channel and created_by of a group, and the stacks that they are made from.
void stream_label_group(struct pprof_stream *stream, struct profile_sample *sample,
                        const struct snapshot_group *group);
void stream_add_group_origins(struct pprof_stream *stream, const struct snapshot_group *group);

// A count or duration as a profile's value: what does not fit is cut.
static inline int64_t stream_value(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}
