// What a client puts into a URL and a Host header: reads stay inside, results stay in their bounds.
// Input: a query string, a line feed, a Host header.

#include "answers/host.h"
#include "answers/query.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A value must be a string that fits, and "seconds=" must read back as what it says.
static void check_value(const char *query, const char *name, size_t room)
{
    char value[256];
    memset(value, 'x', sizeof(value));
    int found = query_get(query, name, value, room);
    if (found > 0 && strnlen(value, room) >= room)
        abort();
    uint64_t number;
    if (found > 0 && query_unsigned(value, 3600, &number) && number > 3600)
        abort();
    uint64_t ns;
    if (found > 0 && query_duration(value, &ns) && ns > INT64_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // A copy of its own, so that the sanitizer sees its end.
    char *query = malloc(size + 1);
    memcpy(query, data, size);
    query[size] = '\0';
    char *host = strchr(query, '\n');
    if (host)
        *host++ = '\0';

    static const char *const names[] = {"debug", "seconds", "state", "min_wait", "limit", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_value(query, names[i], 1);
        check_value(query, names[i], 32);
        check_value(query, names[i], 256);
    }
    char path[QUERY_MAX + 1];
    int length = query_decode_path(query, strlen(query), path, sizeof(path));
    if (length >= 0 && strlen(path) != (size_t)length)
        abort();

    const struct host_rule rule = {.address = "10.1.2.3"};
    // Nothing but a loopback name or address, or that one address, passes.
    if (host && host_allowed(&rule, host) && !strcasestr(host, "localhost") &&
        !strstr(host, "127.") && !strstr(host, "10.1.2.3") && host[0] != '[')
        abort();
    if (host_names_valid(query)) {
        struct host_rule named = rule;
        strncpy(named.names, query, sizeof(named.names) - 1);
        named.names[sizeof(named.names) - 1] = '\0';
        if (host)
            host_allowed(&named, host);
    }
    free(query);
    return 0;
}
