#include "profiler/base/utf8.h"

// What may stand second: for some first bytes less than any tail.
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0: // less would be overlong
        return second >= 0xa0 && second <= 0xbf;
    case 0xed: // more would be a surrogate
        return second >= 0x80 && second <= 0x9f;
    case 0xf0: // less would be overlong
        return second >= 0x90 && second <= 0xbf;
    case 0xf4: // more would be above U+10FFFF
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

unsigned utf8_length_beyond_ascii(const char *at, size_t left)
{
    unsigned char first = (unsigned char)at[0];
    unsigned length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || left < length || !is_second(first, (unsigned char)at[1]))
        return 0;
    // One after the other: the first that is no tail may be a NUL, the end of what may be read.
    for (unsigned i = 2; i < length; i++)
        if (!utf8_is_tail(at[i]))
            return 0;
    return length;
}
