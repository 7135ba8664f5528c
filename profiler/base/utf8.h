// UTF-8, as Unicode's table 3-7 (well-formed byte sequences) has it: no overlong forms, no
// surrogates, nothing above U+10FFFF.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { UTF8_LONGEST = 4 }; // bytes of a character

// Whether a byte goes on with a character that another one began.
static inline bool utf8_is_tail(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

// For utf8_length alone: the character does not begin with an ASCII byte.
unsigned utf8_length_beyond_ascii(const char *at, size_t left);

// The bytes of the character that begins at `at`; 0: none does. `left` is at least 1, and how many
// bytes may be read; of text that ends with a NUL UTF8_LONGEST will do, for a NUL goes on with no
// character, and what is behind it is not read. A NUL itself is a character of one byte.
static inline unsigned utf8_length(const char *at, size_t left)
{
    return (unsigned char)at[0] < 0x80 ? 1 : utf8_length_beyond_ascii(at, left);
}

// `length`, or less if text[length], which may be read, lies within a character: text that is cut
// there ends with a whole one, if it was of whole ones.
static inline size_t utf8_cut(const char *text, size_t length)
{
    while (length > 0 && utf8_is_tail(text[length]))
        length--;
    return length;
}
