#include "answers/query.h"

#include <errno.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int decode(const char *from, size_t length, bool plus_is_space, char *into, size_t room)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if (c == '%') {
            int high = length - i < 3 ? -1 : hex(from[i + 1]);
            int low = length - i < 3 ? -1 : hex(from[i + 2]);
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0' || out + 1 >= room)
            return -EINVAL;
        into[out++] = c;
    }
    into[out] = '\0';
    return (int)out;
}

int query_decode_path(const char *path, size_t length, char *into, size_t room)
{
    return decode(path, length, false, into, room);
}

int query_get(const char *query, const char *name, char *into, size_t room)
{
    size_t name_length = strlen(name);
    while (*query) {
        size_t pair = strcspn(query, "&");
        size_t key = strcspn(query, "=&");
        if (key == name_length && memcmp(query, name, key) == 0) {
            size_t skip = key < pair ? key + 1 : key;
            int length = decode(query + skip, pair - skip, true, into, room);
            return length < 0 ? length : 1;
        }
        query += pair + (query[pair] == '&');
    }
    return 0;
}

bool query_unsigned(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

// The unit at *text in nanoseconds, and *text behind it; 0: none.
static uint64_t unit_ns(const char **text)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},           {"us", 1000},       {"\xc2\xb5s", 1000}, // the micro sign
        {"\xce\xbcs", 1000}, // the Greek letter, which looks the same
        {"ms", 1000000},     // before "m"
        {"s", 1000000000},   {"m", 60000000000}, {"h", 3600000000000},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t length = strlen(units[i].name);
        if (strncmp(*text, units[i].name, length) == 0) {
            *text += length;
            return units[i].ns;
        }
    }
    return 0;
}

bool query_duration(const char *text, uint64_t *ret_ns)
{
    const uint64_t max = INT64_MAX;
    uint64_t sum = 0;
    if (!*text)
        return false;
    for (bool first = true; *text; first = false) {
        uint64_t whole = 0;
        uint64_t fraction = 0;
        uint64_t scale = 1;
        bool digits = false;
        for (; *text >= '0' && *text <= '9'; text++, digits = true) {
            if (whole > max / 20)
                return false;
            whole = whole * 10 + (uint64_t)(*text - '0');
        }
        if (*text == '.') {
            for (text++; *text >= '0' && *text <= '9'; text++, digits = true) {
                // More digits than nanoseconds have are read and dropped.
                if (scale < 1000000000) {
                    fraction = fraction * 10 + (uint64_t)(*text - '0');
                    scale *= 10;
                }
            }
        }
        if (!digits)
            return false;
        bool plain = *text == '\0';
        if (plain && !first)
            return false;
        uint64_t unit = plain ? 1000000000 : unit_ns(&text);
        if (unit == 0 || whole > max / unit)
            return false;
        unsigned __int128 part =
            (unsigned __int128)whole * unit + (unsigned __int128)fraction * unit / scale;
        if (part > max - sum)
            return false;
        sum += (uint64_t)part;
    }
    *ret_ns = sum;
    return true;
}
