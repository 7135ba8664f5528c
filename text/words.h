// The words that every text dump shares: instants, names.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/symbols/origin.h"

// A channel class by its name, or for an unnamed one "file.c:120", where it was made.
enum { WORDS_CHANNEL_MAX = ORIGIN_PLACE_MAX };
void words_channel(uint32_t channel_class, char into[WORDS_CHANNEL_MAX]);

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

// The line of counts: tasks, threads, coroutines, parked, moved, truncated, unreadable, cost.
void words_summary(struct buffer *out, const struct snapshot *snapshot);

// The name of a system call that may block; NULL: not in the list.
const char *words_syscall(unsigned number);
