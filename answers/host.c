#include "answers/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

// Splits the host off a Host header: "name", "name:port", "[v6]", "[v6]:port". The name without
// brackets goes into `into`. false: it is none of these.
static bool split(const char *header, char *into, size_t room, bool *ret_bracketed)
{
    const char *start = header;
    const char *end;
    *ret_bracketed = header[0] == '[';
    if (*ret_bracketed) {
        start++;
        end = strchr(start, ']');
        if (!end)
            return false;
        header = end + 1;
    } else {
        end = start + strcspn(start, ":");
        header = end;
    }
    if (*header == ':') {
        header++;
        size_t digits = strspn(header, "0123456789");
        if (digits > 5)
            return false;
        header += digits;
    }
    size_t length = (size_t)(end - start);
    // One dot at the end is the same name, absolute.
    if (length > 1 && start[length - 1] == '.')
        length--;
    if (*header || length == 0 || length >= room)
        return false;
    memcpy(into, start, length);
    into[length] = '\0';
    return true;
}

// Whether `name` is an item of the list.
static bool listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    while (*list) {
        list += strspn(list, ", ");
        size_t item = strcspn(list, ", ");
        const char *start = list;
        list += item;
        if (item > 2 && start[0] == '[' && start[item - 1] == ']') {
            start++;
            item -= 2;
        }
        if (item == length && strncasecmp(start, name, length) == 0)
            return true;
    }
    return false;
}

bool host_allowed(const struct host_rule *rule, const char *host)
{
    if (listed(rule->names, "*"))
        return true;
    char name[256];
    bool bracketed;
    if (!split(host, name, sizeof(name), &bracketed))
        return false;
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v4 = !bracketed && inet_pton(AF_INET, name, &v4) == 1;
    bool is_v6 = bracketed && inet_pton(AF_INET6, name, &v6) == 1;
    if (bracketed && !is_v6)
        return false;
    if (is_v4 && (ntohl(v4.s_addr) >> 24) == 127)
        return true;
    if (is_v6 && IN6_IS_ADDR_LOOPBACK(&v6))
        return true;
    // Rebinding needs a name that its owner can point elsewhere: a page that carries an address in
    // its own URL came from that address. So where all addresses are listened on, all may be asked.
    if (rule->wildcard && (is_v4 || is_v6))
        return true;
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (is_v6) {
        struct in6_addr own;
        if (inet_pton(AF_INET6, rule->address, &own) == 1 && memcmp(&own, &v6, sizeof(own)) == 0)
            return true;
    }
    if (rule->address[0] && strcasecmp(name, rule->address) == 0)
        return true;
    return listed(rule->names, name);
}

bool host_names_valid(const char *names)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._:[]*, ";
    return strlen(names) < HOST_NAMES_MAX && names[strspn(names, good)] == '\0';
}
