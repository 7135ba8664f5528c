#include "profiler/described/layout.h"

#include "profiler/base/safe_read.h"

#include <errno.h>
#include <string.h>

static bool read_whole(uintptr_t address, void *into, size_t size)
{
    return safe_read(address, into, size) == (ssize_t)size;
}

bool layout_is_direct(const struct layout_path *path)
{
    return path->count == 1 && !path->steps[0].deref;
}

int layout_address(const struct layout_path *path, uintptr_t base, uintptr_t *ret)
{
    uintptr_t at = base;
    for (unsigned i = 0; i < path->count; i++) {
        at += path->steps[i].offset;
        if (!path->steps[i].deref)
            continue;
        if (!read_whole(at, &at, sizeof(at)))
            return -EFAULT;
        if (!at)
            return -ENXIO;
    }
    *ret = at;
    return 0;
}

static int64_t take_bits(const struct layout_path *path, uint64_t word)
{
    unsigned bits = path->bits ? path->bits : (unsigned)(8 * path->size);
    word >>= path->bit;
    if (bits < 64)
        word &= ((uint64_t)1 << bits) - 1;
    if (path->is_signed && bits < 64 && word >> (bits - 1))
        word |= ~(uint64_t)0 << bits;
    return (int64_t)word;
}

// 0; -ENXIO: not described, or behind a NULL pointer; -EFAULT.
static int read_number(const struct layout_path *path, uintptr_t base, int64_t *ret)
{
    if (!path->count)
        return -ENXIO;
    uintptr_t at;
    int result = layout_address(path, base, &at);
    if (result < 0)
        return result;
    uint64_t word = 0; // little endian: the lower bytes come first
    if (path->size > sizeof(word) || !read_whole(at, &word, path->size))
        return -EFAULT;
    int64_t value = take_bits(path, word);
    if (path->is_bool && !path->bits && value > 1)
        return -EFAULT;
    *ret = value;
    return 0;
}

int layout_read(const struct layout *layout, uintptr_t base, struct channel_reading *ret)
{
    int64_t length = TASKPROF_UNKNOWN;
    int64_t capacity = layout->description->capacity;
    int64_t closed = 0;
    int has_length = read_number(&layout->paths[ROLE_LENGTH], base, &length);
    int has_capacity = read_number(&layout->paths[ROLE_CAPACITY], base, &capacity);
    if (has_length == -EFAULT || has_capacity == -EFAULT ||
        read_number(&layout->paths[ROLE_CLOSED], base, &closed) == -EFAULT)
        return -EFAULT;
    // Queues without a limit say so with 0 or -1.
    if (has_capacity == 0 && (capacity == -1 || (capacity == 0 && length > 0)))
        capacity = TASKPROF_UNKNOWN;
    else if (has_capacity == 0 && capacity < 0)
        return -EFAULT;
    if (has_length == 0 && length < 0)
        return -EFAULT;
    if (length != TASKPROF_UNKNOWN && capacity != TASKPROF_UNKNOWN && length > capacity)
        return -EFAULT;
    if (layout->makes_sense && !layout->makes_sense(base))
        return -EFAULT;
    *ret = (struct channel_reading){.length = length, .capacity = capacity, .closed = closed != 0};
    return 0;
}

void layout_name(const struct layout *layout, uintptr_t base, char into[TASKPROF_CHAN_NAME_SIZE])
{
    const struct layout_path *path = &layout->paths[ROLE_NAME];
    memset(into, 0, TASKPROF_CHAN_NAME_SIZE);
    uintptr_t at;
    if (!path->count || layout_address(path, base, &at) < 0)
        return;
    size_t size = TASKPROF_CHAN_NAME_SIZE - 1;
    if (path->size && path->size < size)
        size = path->size;
    ssize_t got = safe_read(at, into, size);
    size_t length = got > 0 ? strnlen(into, (size_t)got) : 0;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)into[i] < 0x20 || (unsigned char)into[i] > 0x7e)
            into[i] = '?';
    memset(into + length, 0, TASKPROF_CHAN_NAME_SIZE - length);
}
