#include "text/words.h"

#include "profiler/base/span.h"
#include "profiler/base/utf8.h"

#include <stdio.h>
#include <string.h>

void words_channel(uint32_t channel_class, char into[WORDS_CHANNEL_MAX])
{
    const struct channel_class *class = channel_class_get(channel_class);
    snprintf(into, WORDS_CHANNEL_MAX, "unnamed");
    if (!class)
        return;
    if (class->name[0]) {
        snprintf(into, WORDS_CHANNEL_MAX, "%.*s", TASKPROF_CHAN_NAME_SIZE, class->name);
        return;
    }
    struct origin origin = origin_of(class->creation);
    origin_place(&origin, into);
}

void words_instant(struct buffer *out, uint64_t realtime_ns)
{
    uint64_t seconds = realtime_ns / 1000000000;
    unsigned of_day = (unsigned)(seconds % 86400);
    // Years from March on put the leap day last; an era of 400 such years has 146,097 days, and
    // 1970-01-01 is day 719,468 of the count.
    uint64_t day = seconds / 86400 + 719468;
    unsigned of_era = (unsigned)(day % 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * of_year + 2) / 153; // 0 is March
    unsigned of_month = of_year - (153 * month + 2) / 5 + 1;
    uint64_t year = day / 146097 * 400 + year_of_era + (month >= 10);
    buffer_printf(out, "%04llu-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned long long)year,
                  month < 10 ? month + 3 : month - 9, of_month, of_day / 3600, of_day / 60 % 60,
                  of_day % 60, (unsigned)(realtime_ns / 1000000 % 1000));
}

// Whether it stands in quotes as it is, and is a character of its own.
static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != ']';
}

void words_quoted(struct buffer *out, const char *text)
{
    buffer_char(out, '"');
    for (const char *at = text;;) {
        size_t plain = 0;
        while (is_plain(at[plain]))
            plain++;
        buffer_append(out, at, plain);
        at += plain;
        if (!*at)
            break;
        unsigned length = utf8_length(at, UTF8_LONGEST);
        if (length == 0) {
            buffer_string(out, "\xef\xbf\xbd");
            length = 1;
        } else if (*at == '"' || *at == '\\') {
            buffer_char(out, '\\');
            buffer_char(out, *at);
        } else if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == ']') {
            buffer_printf(out, "\\u%04x", (unsigned char)*at);
        } else {
            buffer_append(out, at, length);
        }
        at += length;
    }
    buffer_char(out, '"');
}

void words_plain(struct buffer *out, const char *text)
{
    while (*text) {
        size_t good = 0;
        while ((unsigned char)text[good] >= 0x20 && text[good] != 0x7f)
            good++;
        buffer_append(out, text, good);
        text += good;
        if (*text) {
            buffer_char(out, '?');
            text++;
        }
    }
}

void words_summary(struct buffer *out, const struct snapshot *snapshot)
{
    buffer_printf(out,
                  "%llu tasks (%llu threads, %llu coroutines): %llu parked, %llu moved, %llu "
                  "truncated, %llu unreadable; taken ",
                  (unsigned long long)snapshot->tasks, (unsigned long long)snapshot->threads,
                  (unsigned long long)snapshot->coroutines, (unsigned long long)snapshot->parked,
                  (unsigned long long)snapshot->moved, (unsigned long long)snapshot->truncated,
                  (unsigned long long)snapshot->unreadable);
    words_instant(out, snapshot->time_ns);
    buffer_string(out, " in ");
    span_write(out, snapshot->duration_ns);
}
