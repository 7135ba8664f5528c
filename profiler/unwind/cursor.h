// Reading bytes that nobody vouches for: every read is checked, and the first one that does not fit
// makes the cursor fail for good, so that a parser may check once at its end.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_of(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    return (struct cursor){.at = at, .end = at + length};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline void cursor_fail(struct cursor *cursor)
{
    cursor->failed = true;
    cursor->at = cursor->end;
}

static inline const uint8_t *cursor_skip(struct cursor *cursor, uint64_t length)
{
    if (length > cursor_left(cursor)) {
        cursor_fail(cursor);
        return NULL;
    }
    const uint8_t *at = cursor->at;
    cursor->at += length;
    return at;
}

// An unsigned number of 1, 2, 4 or 8 bytes, in the machine's own order (little-endian on all that
// taskprof knows). 0 when it does not fit.
static inline uint64_t cursor_unsigned(struct cursor *cursor, unsigned size)
{
    const uint8_t *from = cursor_skip(cursor, size);
    uint64_t value = 0;
    if (from)
        memcpy(&value, from, size);
    return value;
}

static inline int64_t cursor_signed(struct cursor *cursor, unsigned size)
{
    uint64_t value = cursor_unsigned(cursor, size);
    uint64_t sign = (uint64_t)1 << (size * 8 - 1);
    return (int64_t)((value ^ sign) - sign);
}

// LEB128 of at most 10 bytes; what does not fit into 64 bits is cut off.
static inline uint64_t cursor_leb128(struct cursor *cursor, bool is_signed)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (cursor->at == cursor->end)
            break;
        uint8_t byte = *cursor->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (is_signed && (byte & 0x40) && shift + 7 < 64)
            value |= ~(uint64_t)0 << (shift + 7);
        return value;
    }
    cursor_fail(cursor);
    return 0;
}

static inline uint64_t cursor_uleb128(struct cursor *cursor)
{
    return cursor_leb128(cursor, false);
}

static inline int64_t cursor_sleb128(struct cursor *cursor)
{
    return (int64_t)cursor_leb128(cursor, true);
}
