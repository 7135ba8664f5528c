// Stacks, frame by frame, as the text dumps have them.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/symbols/symbols.h"

// A function's name; without one the file and the address in it, else "??".
void frames_function(struct buffer *out, const struct snapshot *snapshot, const char *function,
                     uintptr_t address);

// Whether parsers of Go's dumps take this for a file.
bool frames_is_go_file(const char *file);

// "FILE:LINE", "??:0" when not known.
void frames_place(struct buffer *out, const struct symbol_frame *frame);

// A stack's lines. `prefix` "#" makes "#\t0xADDR\tfunction+0xOFF\tfile:line\n" of each frame.
void frames_by_address(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                       const char *prefix);

// "function(...)\n\tfile:line +0xOFF\n" for each frame. `go_files`: "function file:line(...)" and
// "??:0" for files that parsers of Go's dumps don't know.
void frames_as_go(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                  bool go_files);

// Why a stack is not whole. Static.
const char *frames_end_text(uint32_t end);
