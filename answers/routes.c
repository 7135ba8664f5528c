#include "answers/routes.h"

#include "answers/host.h"
#include "answers/index.h"
#include "answers/profiles.h"
#include "answers/query.h"
#include "answers/route.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static uint64_t count_tasks(const struct snapshot *snapshot)
{
    return snapshot->tasks;
}

static uint64_t count_channels(const struct snapshot *snapshot)
{
    return snapshot->channel_count;
}

static uint64_t count_threads(const struct snapshot *snapshot)
{
    return snapshot->threads;
}

// The profiles. One line adds one.
static const struct route routes[] = {
    {"goroutine", profile_goroutine, count_tasks, false,
     "Stacks of all current tasks: threads and coroutines. debug=2 shows every one, as Go does."},
    {"task", profile_goroutine, count_tasks, false, "The same as goroutine."},
    {"channel", profile_channel, count_channels, false,
     "Channels and registered queues: length, capacity, who waits on them, and misuse."},
    {"threadcreate", profile_threadcreate, count_threads, false,
     "Threads, by the stacks that created them."},
    {"cmdline", profile_cmdline, NULL, false,
     "The command line of this process, separated by NULs."},
    {"symbol", profile_symbol, NULL, true,
     "Names for addresses, for go tool pprof: GET or POST 0xADDR+0xADDR."},
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

// Profiles that Go has and taskprof has not. Scrapers ask for them by default.
static const char *const absent[] = {"heap", "allocs", "block", "mutex", "profile", "trace"};

// The route of a path, NULL: none.
static const struct route *find(const char *path)
{
    size_t base = strlen(ROUTES_BASE);
    if (strncmp(path, ROUTES_BASE, base) != 0)
        return NULL;
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].name, path + base) == 0)
            return &routes[i];
    return NULL;
}

static bool method_is(const struct request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

static void redirect(struct reply *reply)
{
    reply->status = 301;
    reply->type = "text/plain; charset=utf-8";
    reply->location = ROUTES_BASE;
    reply->sized = true;
    reply->body.text = "The profiles are at " ROUTES_BASE "\n";
}

static void not_found(const char *path, struct reply *reply)
{
    size_t base = strlen(ROUTES_BASE);
    char names[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < ROUTES && length < sizeof(names); i++)
        length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", i ? ", " : "",
                                   routes[i].name);
    if (strncmp(path, ROUTES_BASE, base) != 0) {
        reply_error(reply, 404, "nothing is served here; the profiles are at " ROUTES_BASE);
        return;
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        if (strcmp(path + base, absent[i]) == 0) {
            reply_error(reply, 404,
                        "Unknown profile: taskprof, which watches C programs, has no %s profile. "
                        "It has: %s",
                        absent[i], names);
            return;
        }
    reply_error(reply, 404, "Unknown profile\nThere are: %s", names);
}

// The parts of a request's target.
struct target {
    const char *host; // from "http://HOST/…"; `length` bytes, NULL: not of that form
    size_t host_length;
    const char *path;
    size_t path_length;
    const char *query; // "" when there is none
};

static struct target split(const char *text)
{
    struct target target = {0};
    // RFC 9112, 3.2.2: every server takes the form that is meant for proxies.
    if (strncasecmp(text, "http://", 7) == 0) {
        target.host = text + 7;
        target.host_length = strcspn(target.host, "/?");
        text = target.host + target.host_length;
    }
    target.path = text;
    target.path_length = strcspn(text, "?");
    const char *query = text + target.path_length;
    target.query = *query ? query + 1 : query;
    return target;
}

static bool check_host(const struct request *request, const struct target *target,
                       struct reply *reply)
{
    char name[256] = "";
    if (!request->hosts)
        return true;
    const char *host = request->host;
    if (target->host) {
        if (target->host_length < sizeof(name))
            memcpy(name, target->host, target->host_length);
        host = name;
    }
    if (host ? host_allowed(request->hosts, host) : request->http_1_0)
        return true;
    reply_error(reply, 403,
                "This Host header is not answered, so that no web page can read profiles through "
                "somebody's browser. Ask for localhost or the address listened on, or set "
                "TASKPROF_HOSTS (options.hosts) to the names that are good, separated by commas; "
                "\"*\" allows all.");
    return false;
}

// What all requests have in common. On success the decoded path is in `path`.
static bool check(const struct request *request, struct target *ret_target,
                  char path[QUERY_MAX + 1], struct reply *reply)
{
    if (strlen(request->target) > QUERY_MAX) {
        reply_error(reply, 414, "the URL is longer than %d bytes", QUERY_MAX);
        return false;
    }
    *ret_target = split(request->target);
    if (!check_host(request, ret_target, reply))
        return false;
    if (query_decode_path(ret_target->path, ret_target->path_length, path, QUERY_MAX + 1) < 0) {
        reply_error(reply, 400, "the path is badly encoded");
        return false;
    }
    const struct route *route = find(path);
    bool posted = route && route->takes_post;
    if (method_is(request, "GET") || method_is(request, "HEAD") ||
        (posted && method_is(request, "POST")))
        return true;
    reply_error(reply, 405, "only %s is answered here",
                posted ? "GET, HEAD or POST" : "GET or HEAD");
    reply->allow = posted ? "GET, HEAD, POST" : "GET, HEAD";
    return false;
}

bool routes_takes_body(const struct request *request, struct reply *reply)
{
    struct target target;
    char path[QUERY_MAX + 1];
    if (!check(request, &target, path, reply))
        return false;
    if (method_is(request, "POST"))
        return true;
    reply_error(reply, 400, "no body is expected with %s", request->method);
    return false;
}

void routes_answer(const struct request *request, struct reply *reply)
{
    struct target target;
    char path[QUERY_MAX + 1];
    if (!check(request, &target, path, reply))
        return;
    if (request->body_length > ROUTES_BODY_MAX) {
        reply_error(reply, 413, "the body is longer than %d bytes", ROUTES_BODY_MAX);
        return;
    }
    if (strcmp(path, ROUTES_BASE) == 0) {
        index_answer(routes, ROUTES, reply);
        return;
    }
    if (path[0] == '\0' || strcmp(path, "/") == 0 || strcmp(path, "/debug/pprof") == 0) {
        redirect(reply);
        return;
    }
    const struct route *route = find(path);
    if (route)
        route->answer(request, target.query, reply);
    else
        not_found(path, reply);
}

void routes_answer_later(struct reply *reply)
{
    profile_goroutine_delta(reply);
}
