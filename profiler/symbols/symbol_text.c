#include "profiler/symbols/symbol_text.h"

#include "profiler/base/intern.h"
#include "profiler/base/memory.h"
#include "profiler/base/utf8.h"

enum { TEXT_MAX = 16 << 10 }; // replaced bytes take three times the room, and still fit an intern

struct intern symbol_text_table =
    INTERN_INIT("names and files of functions", "they are shown as \"??\"", (size_t)256 << 20);

static const char *keep(const char *text, size_t length)
{
    size_t kept;
    const char *copy =
        intern_get(&symbol_text_table, intern(&symbol_text_table, text, length), &kept);
    return copy ? copy : "";
}

// Where the first byte is that belongs to no character.
static size_t valid_prefix(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        unsigned size = utf8_length(text + at, length - at);
        if (!size)
            break;
        at += size;
    }
    return at;
}

const char *symbol_text(const char *text, size_t length)
{
    static const char replacement[] = "\xef\xbf\xbd";
    if (length > TEXT_MAX)
        length = utf8_cut(text, TEXT_MAX);
    if (length == 0)
        return "";
    struct buffer buffer = {0};
    for (size_t at = 0; at < length;) {
        size_t valid = valid_prefix(text + at, length - at);
        buffer_append(&buffer, text + at, valid);
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

bool symbol_text_is_due(void)
{
    return intern_is_due(&symbol_text_table);
}

bool symbol_text_has_old(void)
{
    return symbol_text_table.old != INTERN_NO_OLD;
}

void symbol_text_start_anew(void)
{
    intern_start_anew(&symbol_text_table);
}
