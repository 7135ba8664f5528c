// The parts of a profile as protobuf messages, appended to stream->packed.

#pragma once

#include "proto/stream.h"

// Works out which mappings are spoken of and what can be promised of each. After places_resolve.
// 0 or -ENOMEM.
int pack_prepare(struct pprof_stream *stream);

void pack_header(struct pprof_stream *stream);
// Number `next` of stream->used_mappings.
void pack_mapping(struct pprof_stream *stream, size_t next);
// Location number `next` of pack_location_count, with those of its functions that are new.
void pack_location(struct pprof_stream *stream, size_t next);
size_t pack_location_count(const struct pprof_stream *stream);
void pack_sample(struct pprof_stream *stream, const struct profile_sample *sample);
// Strings that were added since the last call.
void pack_strings(struct pprof_stream *stream);
