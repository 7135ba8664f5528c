#include "profiler/symbols/symbol_text.h"

#include "profiler/base/intern.h"
#include "profiler/base/memory.h"

#include <stdbool.h>

enum { TEXT_MAX = 16 << 10 }; // replaced bytes take three times the room, and still fit an intern

static struct intern texts =
    INTERN_INIT("names and files of functions", "they are shown as \"??\"", (size_t)256 << 20);

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

// The bytes of the character that starts at `at`; 0: none does. No overlong forms, no surrogates,
// nothing above U+10FFFF (Unicode, table 3-7).
static size_t character(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    if (left < 2 || c < 0xc2 || !is_tail(at[1]))
        return 0;
    if (c < 0xe0)
        return 2;
    if (left < 3 || !is_tail(at[2]) || (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f))
        return 0;
    if (c < 0xf0)
        return 3;
    if (left < 4 || c > 0xf4 || !is_tail(at[3]) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return 4;
}

static const char *keep(const char *text, size_t length)
{
    size_t kept;
    const char *copy = intern_get(&texts, intern(&texts, text, length), &kept);
    return copy ? copy : "";
}

// Where the first byte is that belongs to no character.
static size_t valid_prefix(const unsigned char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t size = character(bytes + at, length - at);
        if (!size)
            break;
        at += size;
    }
    return at;
}

const char *symbol_text(const char *text, size_t length)
{
    static const char replacement[] = "\xef\xbf\xbd";
    const unsigned char *bytes = (const unsigned char *)text;
    if (length > TEXT_MAX) {
        length = TEXT_MAX;
        while (length && is_tail(bytes[length]))
            length--;
    }
    if (length == 0)
        return "";
    struct buffer buffer = {0};
    for (size_t at = 0; at < length;) {
        size_t valid = valid_prefix(bytes + at, length - at);
        buffer_append(&buffer, bytes + at, valid);
        at += valid;
        if (at < length) {
            buffer_append(&buffer, replacement, sizeof(replacement) - 1);
            at++;
        }
    }
    buffer_char(&buffer, '\0');
    const char *kept = buffer.failed ? "" : keep(buffer.data, buffer.length);
    buffer_release(&buffer);
    return kept;
}
