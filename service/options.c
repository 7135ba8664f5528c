#include "service/options.h"

#include "answers/query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Where a value came from, for errors.
struct value {
    const char *text; // NULL: neither given
    const char *from;
};

static struct value pick(const char *option, const char *name, const char *variable)
{
    if (option)
        return (struct value){option, name};
    // A program with more rights than its caller must not listen where the caller says.
    const char *environment = secure_getenv(variable);
    return (struct value){environment && *environment ? environment : NULL, variable};
}

static int bad_address(const struct value *value, const char *why, char *error)
{
    snprintf(error, ERRORS_TEXT_MAX,
             "%s=\"%.128s\": %s. Right would be \"127.0.0.1:6060\", \"[::1]:6060\", \":6060\" "
             "(loopback), "
             "\"6060\", \"0.0.0.0:6060\" (all addresses), port 0 for a free one, or \"off\"",
             value->from, value->text, why);
    return -EINVAL;
}

// The address part, as numbers: names would need the resolver, which reads files, loads libraries
// and may block.
static int set_address(const struct value *value, const char *host, const char *port,
                       struct settings *ret, char *error)
{
    uint64_t number;
    if (!query_unsigned(port, 65535, &number))
        return bad_address(value, "the port must be a number of 0 to 65535", error);
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return bad_address(value, "the address must be given in numbers", error);
    memcpy(&ret->http.address, found->ai_addr, found->ai_addrlen);
    ret->http.address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int read_address(const struct value *value, struct settings *ret, char *error)
{
    const char *text = value->text;
    snprintf(ret->where, sizeof(ret->where), "%s=%.96s", value->from, text);
    if (strcasecmp(text, "off") == 0) {
        ret->off = true;
        return 0;
    }
    char host[HOST_ADDRESS_MAX] = "127.0.0.1";
    const char *port = text;
    const char *end = NULL; // of the host
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        if (!end || end[1] != ':')
            return bad_address(value, "\"]:\" and a port are missing", error);
        port = end + 2;
    } else if (strchr(text, ':')) {
        end = strchr(text, ':');
        if (strchr(end + 1, ':'))
            return bad_address(value, "an IPv6 address must stand in brackets", error);
        port = end + 1;
    } else if (strchr(text, '.')) {
        return bad_address(value, "the port is missing", error);
    }
    if (end && end != text) {
        size_t length = (size_t)(end - text);
        if (length >= sizeof(host))
            return bad_address(value, "the address is too long", error);
        memcpy(host, text, length);
        host[length] = '\0';
    } else if (value->text[0] == '[') {
        return bad_address(value, "there is no address in the brackets", error);
    }
    return set_address(value, host, port, ret, error);
}

static int read_number(unsigned option, const char *name, const char *variable, unsigned fallback,
                       unsigned max, unsigned *ret, char *error)
{
    uint64_t number = fallback;
    if (option) {
        if (option > max) {
            snprintf(error, ERRORS_TEXT_MAX, "%s=%u: right would be 1 to %u", name, option, max);
            return -EINVAL;
        }
        number = option;
    } else {
        struct value value = pick(NULL, name, variable);
        if (value.text && (!query_unsigned(value.text, max, &number) || number == 0)) {
            snprintf(error, ERRORS_TEXT_MAX, "%s=\"%.128s\": right would be a number of 1 to %u",
                     variable, value.text, max);
            return -EINVAL;
        }
    }
    *ret = (unsigned)number;
    return 0;
}

static int read_snapshots(const struct taskprof_options *given, struct settings *ret, char *error)
{
    enum { DAY = 86400 };
    struct value folder = pick(given->snapshots, "options.snapshots", "TASKPROF_SNAPSHOTS");
    if (folder.text && strlen(folder.text) >= sizeof(ret->snapshots)) {
        snprintf(error, ERRORS_TEXT_MAX, "%s: the folder's path is longer than %zu bytes",
                 folder.from, sizeof(ret->snapshots) - 1);
        return -EINVAL;
    }
    snprintf(ret->snapshots, sizeof(ret->snapshots), "%s", folder.text ? folder.text : "");
    struct value every = pick(NULL, "", "TASKPROF_SNAPSHOTS_EVERY");
    uint64_t ns;
    if (!given->snapshots_every_s && every.text && query_duration(every.text, &ns) &&
        ns >= 1000000000 && ns <= DAY * (uint64_t)1000000000) {
        ret->snapshots_every_s = (unsigned)(ns / 1000000000);
    } else if (!given->snapshots_every_s && every.text) {
        snprintf(error, ERRORS_TEXT_MAX,
                 "%s=\"%.128s\": right would be a time of 1s to 24h, such as 90s, 5m or 1h",
                 every.from, every.text);
        return -EINVAL;
    } else {
        int result =
            read_number(given->snapshots_every_s, "options.snapshots_every_s",
                        "TASKPROF_SNAPSHOTS_EVERY", 60, DAY, &ret->snapshots_every_s, error);
        if (result < 0)
            return result;
    }
    return read_number(given->snapshots_keep, "options.snapshots_keep", "TASKPROF_SNAPSHOTS_KEEP",
                       60, 999999, &ret->snapshots_keep, error);
}

static int read_channels(const struct taskprof_options *given, struct settings *ret, char *error)
{
    struct value file = pick(given->channels, "options.channels", "TASKPROF_CHANNELS");
    if (file.text && strlen(file.text) >= sizeof(ret->channels)) {
        snprintf(error, ERRORS_TEXT_MAX, "%s: the file's path is longer than %zu bytes", file.from,
                 sizeof(ret->channels) - 1);
        return -EINVAL;
    }
    snprintf(ret->channels, sizeof(ret->channels), "%s", file.text ? file.text : "");
    return 0;
}

static int read_warm_up(const struct taskprof_options *given, struct settings *ret, char *error)
{
    struct value value = pick(given->warm_up, "options.warm_up", "TASKPROF_WARM_UP");
    ret->warm_up = !value.text || strcasecmp(value.text, "on") == 0;
    if (ret->warm_up || strcasecmp(value.text, "off") == 0)
        return 0;
    snprintf(error, ERRORS_TEXT_MAX, "%s=\"%.128s\": right would be \"on\" or \"off\"", value.from,
             value.text);
    return -EINVAL;
}

static void set_host_rule(struct settings *settings)
{
    struct host_rule *rule = &settings->http.hosts;
    if (settings->http.address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&settings->http.address;
        rule->wildcard = v4->sin_addr.s_addr == htonl(INADDR_ANY);
        inet_ntop(AF_INET, &v4->sin_addr, rule->address, sizeof(rule->address));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&settings->http.address;
        rule->wildcard = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
        inet_ntop(AF_INET6, &v6->sin6_addr, rule->address, sizeof(rule->address));
    }
    if (rule->wildcard)
        rule->address[0] = '\0';
}

int options_read(const struct taskprof_options *options, struct settings *ret,
                 char error[ERRORS_TEXT_MAX])
{
    struct taskprof_options given = TASKPROF_OPTIONS_INIT;
    *ret = (struct settings){0};
    if (options) {
        // A caller built against an older header has a shorter struct, one against a newer a longer
        // one, whose further fields say nothing to this version.
        size_t size = options->size;
        if (size < sizeof(options->size) + sizeof(options->http)) {
            snprintf(error, ERRORS_TEXT_MAX,
                     "options.size=%zu: initialise options with TASKPROF_OPTIONS_INIT", size);
            return -EINVAL;
        }
        memcpy(&given, options, size < sizeof(given) ? size : sizeof(given));
    }
    struct value http = pick(given.http, "options.http", "TASKPROF_HTTP");
    if (!http.text)
        http.text = "127.0.0.1:6060";
    struct value hosts = pick(given.hosts, "options.hosts", "TASKPROF_HOSTS");
    if (!hosts.text)
        hosts.text = "";
    if (!host_names_valid(hosts.text)) {
        snprintf(error, ERRORS_TEXT_MAX,
                 "%s=\"%.128s\": right would be names without ports, separated by commas, or \"*\"",
                 hosts.from, hosts.text);
        return -EINVAL;
    }
    snprintf(ret->http.hosts.names, sizeof(ret->http.hosts.names), "%s", hosts.text);
    int result = read_address(&http, ret, error);
    if (result == 0)
        result =
            read_number(given.max_connections, "options.max_connections",
                        "TASKPROF_MAX_CONNECTIONS", 32, 1024, &ret->http.max_connections, error);
    if (result == 0)
        result =
            read_number(given.client_timeout_s, "options.client_timeout_s",
                        "TASKPROF_CLIENT_TIMEOUT", 30, 86400, &ret->http.client_timeout_s, error);
    if (result == 0)
        result = read_snapshots(&given, ret, error);
    if (result == 0)
        result = read_channels(&given, ret, error);
    if (result == 0)
        result = read_warm_up(&given, ret, error);
    if (result == 0 && !ret->off)
        set_host_rule(ret);
    return result;
}

void options_address_text(const struct sockaddr_storage *address, char into[OPTIONS_ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(into, OPTIONS_ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(into, OPTIONS_ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}
