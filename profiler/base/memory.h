// Memory that never comes from malloc.
//
// A snapshot has to be taken while some thread of the application holds malloc's lock for ever, so
// everything right of the registry lives in pages that taskprof maps by itself.

#pragma once

#include <stdbool.h>
#include <stddef.h>

// Maps `bytes` (rounded up to pages) of zeroed, private memory. NULL when the kernel has none.
// Any thread; async-signal-safe; errno is left as it was.
void *memory_map(size_t bytes);

// The same, with all its pages in place: for a table that is read here and there before it is
// written, which would make the kernel interrupt other threads each time (see spare.h).
void *memory_map_table(size_t bytes);

// Gives back what memory_map or memory_map_table returned. `bytes` is what was asked for there.
// NULL is ignored.
void memory_unmap(void *pages, size_t bytes);

// A region allocator: many small objects with one lifetime. Not thread-safe: one owner at a time.
// A zeroed struct is an empty arena.
struct arena_block;
struct arena {
    struct arena_block *blocks; // newest first
    size_t mapped;              // bytes held from the kernel
};

// Zeroed memory, aligned to 16 bytes, valid until arena_release. NULL when out of memory.
void *arena_alloc(struct arena *arena, size_t bytes);

// Copies `bytes` of `from` into the arena. NULL when out of memory.
void *arena_copy(struct arena *arena, const void *from, size_t bytes);

// Copies a NUL-terminated string of at most `max` bytes (cut there). NULL when out of memory.
char *arena_string(struct arena *arena, const char *from, size_t max);

// Unmaps everything that came from the arena and leaves it empty.
void arena_release(struct arena *arena);

// A byte buffer that grows by doubling. A zeroed struct is an empty buffer. Not thread-safe.
// The first failed growth sets `failed` and later appends do nothing, so that a writer may check
// once, at its end.
struct buffer {
    char *data;
    size_t length;
    size_t capacity;
    bool failed;
};

// Makes room for `more` bytes and returns where they go; buffer->length is for the caller to
// advance. NULL (and buffer->failed) when out of memory.
char *buffer_reserve(struct buffer *buffer, size_t more);

// Inline, with the next two: a dump is made of millions of them.
static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0 || buffer->failed)
        return;
    char *to = buffer->data;
    if (to && length <= buffer->capacity - buffer->length)
        to += buffer->length;
    else
        to = buffer_reserve(buffer, length);
    if (!to)
        return;
    __builtin_memcpy(to, bytes, length);
    buffer->length += length;
}

static inline void buffer_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, __builtin_strlen(text));
}

static inline void buffer_char(struct buffer *buffer, char c)
{
    buffer_append(buffer, &c, 1);
}

void buffer_unsigned(struct buffer *buffer, unsigned long long value);
void buffer_hex(struct buffer *buffer, unsigned long long value); // lower case, no prefix
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_release(struct buffer *buffer);
