#include "profiler/base/memory.h"

#include "profiler/base/spare.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ARENA_BLOCK = 64 * 1024, BUFFER_FIRST = 16 * 1024 };

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static void *map(size_t bytes, int flags)
{
    if (bytes == 0 || bytes > SIZE_MAX - SPARE_PAGE)
        return NULL;
    void *spare = spare_take(bytes);
    if (spare)
        return spare;
    int saved = errno;
    void *pages = mmap(NULL, round_up(bytes, SPARE_PAGE), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved;
    return pages == MAP_FAILED ? NULL : pages;
}

void *memory_map(size_t bytes)
{
    return map(bytes, 0);
}

void *memory_map_table(size_t bytes)
{
    return map(bytes, MAP_POPULATE);
}

static void unmap(void *pages, size_t bytes)
{
    int saved = errno;
    munmap(pages, round_up(bytes, SPARE_PAGE));
    errno = saved;
}

void memory_unmap(void *pages, size_t bytes)
{
    if (!pages || spare_keep(pages, bytes))
        return;
    // The newest stays: it is what will be asked for again.
    while (bytes <= SPARE_BYTES_MAX) {
        size_t evicted_bytes;
        void *evicted = spare_evict(&evicted_bytes);
        if (!evicted)
            break;
        unmap(evicted, evicted_bytes);
        if (spare_keep(pages, bytes))
            return;
    }
    unmap(pages, bytes);
}

struct arena_block {
    struct arena_block *next;
    size_t size; // mapped bytes, this header among them
    size_t used;
    size_t pad; // keeps what follows aligned to 16
};

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t want = round_up(bytes ? bytes : 1, 16);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < want) {
        // Doubling keeps the number of mappings small when a snapshot is large.
        size_t size = block ? block->size * 2 : ARENA_BLOCK;
        if (size > (size_t)8 << 20)
            size = (size_t)8 << 20;
        if (size < want + sizeof(*block))
            size = round_up(want + sizeof(*block), SPARE_PAGE);
        struct arena_block *fresh = memory_map(size);
        if (!fresh)
            return NULL;
        fresh->size = size;
        fresh->used = sizeof(*fresh);
        fresh->next = block;
        arena->blocks = fresh;
        arena->mapped += size;
        block = fresh;
    }
    void *result = (char *)block + block->used;
    block->used += want;
    return result;
}

void *arena_copy(struct arena *arena, const void *from, size_t bytes)
{
    void *copy = arena_alloc(arena, bytes);
    if (copy && bytes)
        memcpy(copy, from, bytes);
    return copy;
}

char *arena_string(struct arena *arena, const char *from, size_t max)
{
    size_t length = strnlen(from, max);
    char *copy = arena_alloc(arena, length + 1);
    if (copy)
        memcpy(copy, from, length);
    return copy;
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    // First: the child of a fork that comes meanwhile must not give them back again.
    arena->blocks = NULL;
    arena->mapped = 0;
    atomic_signal_fence(memory_order_seq_cst);
    while (block) {
        struct arena_block *next = block->next;
        memory_unmap(block, block->size);
        block = next;
    }
}

// Moved pages cost the same interrupts as unmapped ones: what fits among the spares is copied.
static char *grow(struct buffer *buffer, size_t capacity)
{
    if (buffer->data && buffer->capacity > SPARE_BYTES_MAX) {
        int saved = errno;
        char *data = mremap(buffer->data, buffer->capacity, capacity, MREMAP_MAYMOVE);
        errno = saved;
        return data == MAP_FAILED ? NULL : data;
    }
    char *data = memory_map(capacity);
    if (data && buffer->data) {
        memcpy(data, buffer->data, buffer->length);
        memory_unmap(buffer->data, buffer->capacity);
    }
    return data;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return NULL;
    if (buffer->capacity - buffer->length >= more)
        return buffer->data + buffer->length;
    if (more > SIZE_MAX / 4 - buffer->length) {
        buffer->failed = true;
        return NULL;
    }
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : BUFFER_FIRST;
    while (capacity - buffer->length < more)
        capacity *= 2;
    char *data = grow(buffer, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return buffer->data + buffer->length;
}

static void append_number(struct buffer *buffer, unsigned long long value, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void buffer_unsigned(struct buffer *buffer, unsigned long long value)
{
    append_number(buffer, value, 10);
}

void buffer_hex(struct buffer *buffer, unsigned long long value)
{
    append_number(buffer, value, 16);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    size_t room = 256;
    for (int attempt = 0; attempt < 2; attempt++) {
        char *to = buffer_reserve(buffer, room);
        if (!to)
            return;
        va_list args;
        va_start(args, format);
        int length = vsnprintf(to, room, format, args);
        va_end(args);
        if (length < 0) {
            buffer->failed = true;
            return;
        }
        if ((size_t)length < room) {
            buffer->length += (size_t)length;
            return;
        }
        room = (size_t)length + 1;
    }
}

void buffer_release(struct buffer *buffer)
{
    memory_unmap(buffer->data, buffer->capacity);
    *buffer = (struct buffer){0};
}
