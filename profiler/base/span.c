#include "profiler/base/span.h"

// A number of thousandths with its zeros behind the point left out.
static void thousandths(struct buffer *out, uint64_t value)
{
    buffer_unsigned(out, value / 1000);
    unsigned rest = (unsigned)(value % 1000);
    if (!rest)
        return;
    const char text[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                         (char)('0' + rest % 10)};
    buffer_append(out, text, rest % 10 ? 4 : rest % 100 ? 3 : 2);
}

void span_write(struct buffer *out, uint64_t ns)
{
    if (ns == 0) {
        buffer_string(out, "0s");
    } else if (ns < 1000000) {
        thousandths(out, ns);
        buffer_string(out, "us");
    } else if (ns < 1000000000) {
        thousandths(out, ns / 1000);
        buffer_string(out, "ms");
    } else {
        uint64_t ms = ns / 1000000;
        uint64_t hours = ms / 3600000;
        uint64_t minutes = ms / 60000 % 60;
        if (hours) {
            buffer_unsigned(out, hours);
            buffer_char(out, 'h');
        }
        if (hours || minutes) {
            buffer_unsigned(out, minutes);
            buffer_char(out, 'm');
        }
        thousandths(out, ms % 60000);
        buffer_char(out, 's');
    }
}
