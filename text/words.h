// The words that every text dump shares: spans of time, instants, names, places.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/symbols/origin.h"
#include "profiler/symbols/symbols.h"

// A channel class by its name, or for an unnamed one "file.c:120", where it was made.
enum { WORDS_CHANNEL_MAX = ORIGIN_PLACE_MAX };
void words_channel(uint32_t channel_class, char into[WORDS_CHANNEL_MAX]);

// "3m12.504s", "250ms": as Go writes them, no finer than a millisecond from 1 s on.
void words_span(struct buffer *out, uint64_t ns);

// "2026-01-31T23:59:59.123Z". Not gmtime_r: its first call reads a file and allocates.
void words_instant(struct buffer *out, uint64_t realtime_ns);

// The file descriptor that an object of a wait stands for (TASKPROF_FD), or -1. No object lies that
// low: Linux gives the first 64 KiB of addresses to nobody.
static inline int words_fd(uintptr_t object)
{
    return object > 0 && object < 1 << 16 ? (int)object - 1 : -1;
}

// In double quotes, as JSON and Go both read it. What is not UTF-8 becomes U+FFFD. "]" is written
// as an escape: parsers of Go's dumps take the first one for the end of the header.
void words_quoted(struct buffer *out, const char *text);

// As it is, but with control characters made "?": a name can't end a line.
void words_plain(struct buffer *out, const char *text);

// A function's name; without one the file and the address in it, else "??".
void words_function(struct buffer *out, const struct snapshot *snapshot, const char *function,
                    uintptr_t address);

// Whether parsers of Go's dumps take this for a file.
bool words_is_go_file(const char *file);

// "FILE:LINE", "??:0" when not known.
void words_place(struct buffer *out, const struct symbol_frame *frame);

// A stack's lines. `prefix` "#" makes "#\t0xADDR\tfunction+0xOFF\tfile:line\n" of each frame.
void words_frames_address(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                          const char *prefix);

// "function(...)\n\tfile:line +0xOFF\n" for each frame. `go_files`: "function file:line(...)" and
// "??:0" for files that parsers of Go's dumps don't know.
void words_frames_go(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                     bool go_files);

// Why a stack is not whole. Static.
const char *words_stack_end(uint32_t end);

// The line of counts: tasks, threads, coroutines, parked, moved, truncated, unreadable, cost.
void words_summary(struct buffer *out, const struct snapshot *snapshot);

// The name of a system call that may block; NULL: not in the list.
const char *words_syscall(unsigned number);
