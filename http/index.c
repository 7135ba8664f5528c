#include "http/index.h"

#include "http/recorder.h"
#include "http/routes.h"
#include "http/text_locks.h"
#include "http/text_missing.h"
#include "http/words.h"
#include "profiler/described/problems.h"

#include <string.h>

static void escaped(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buffer_string(out, "&lt;");
            break;
        case '>':
            buffer_string(out, "&gt;");
            break;
        case '&':
            buffer_string(out, "&amp;");
            break;
        case '"':
            buffer_string(out, "&#34;");
            break;
        case '\'':
            buffer_string(out, "&#39;");
            break;
        default:
            buffer_char(out, *text);
        }
    }
}

// How many a profile has, or -1 for those that have no count.
static long long count_of(const struct snapshot *snapshot, const char *name)
{
    if (strcmp(name, "goroutine") == 0 || strcmp(name, "task") == 0)
        return (long long)snapshot->tasks;
    if (strcmp(name, "channel") == 0)
        return (long long)snapshot->channel_count;
    if (strcmp(name, "threadcreate") == 0)
        return (long long)snapshot->threads;
    return -1;
}

static void row(struct buffer *out, const struct snapshot *snapshot, const struct route *route)
{
    long long count = count_of(snapshot, route->name);
    buffer_string(out, "<tr><td>");
    if (count >= 0)
        buffer_unsigned(out, (unsigned long long)count);
    buffer_string(out, "</td><td><a href=\"");
    escaped(out, route->name);
    buffer_string(out, count >= 0 ? "?debug=1\">" : "\">");
    escaped(out, route->name);
    buffer_string(out, "</a></td></tr>\n");
}

// Deadlocks come first: whoever reads this page has to see them.
static void stuck(struct buffer *out, const struct snapshot *snapshot)
{
    struct buffer summary = {0};
    text_locks_summary(&summary, snapshot);
    if (summary.length) {
        buffer_string(out, "<p><strong><a href=\"goroutine?debug=1\">");
        buffer_append(out, summary.data, summary.length);
        buffer_string(out, "</a></strong></p>\n");
    }
    buffer_release(&summary);
}

void index_answer(struct http_reply *reply)
{
    static const char head[] =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<title>/debug/pprof/</title>\n<style>\n"
        ".profile-name { display: inline-block; width: 8rem; font-weight: bold; }\n"
        "td:first-child { text-align: right; padding-right: 1rem; }\n</style>\n</head>\n<body>\n"
        "/debug/pprof/\n<br>\n<p>Set debug=1 as a query parameter to export in text form, debug=2 "
        "for every task.</p>\n";
    static const char table[] = "<p>Types of profiles available:</p>\n<table>\n"
                                "<thead><tr><th>Count</th><th>Profile</th></tr></thead>\n";
    static const char behind[] =
        "</table>\n<p><a href=\"goroutine?debug=2\">full goroutine stack dump</a></p>\n"
        "<p>Profile descriptions:</p>\n<ul>\n";
    struct buffer *out = &reply->body.buffer;
    struct snapshot *snapshot;
    size_t count;
    const struct route *routes = routes_list(&count);
    if (snapshot_take(0, 0, &snapshot) < 0) {
        http_error(reply, 503, "out of memory for a snapshot; try again");
        return;
    }
    buffer_string(out, head);
    stuck(out, snapshot);
    buffer_string(out, table);
    for (size_t i = 0; i < count; i++)
        row(out, snapshot, &routes[i]);
    buffer_string(out, behind);
    for (size_t i = 0; i < count; i++) {
        buffer_string(out, "<li><span class=\"profile-name\">");
        escaped(out, routes[i].name);
        buffer_string(out, ":</span> ");
        escaped(out, routes[i].description);
        buffer_string(out, "</li>\n");
    }
    buffer_string(out, "</ul>\n<p>");
    struct buffer summary = {0};
    words_summary(&summary, snapshot);
    buffer_char(&summary, '\0');
    escaped(out, summary.failed ? "" : summary.data);
    buffer_release(&summary);
    buffer_string(out, "</p>\n");
    text_missing(out, snapshot, "<p>", "</p>\n");
    char recorded[RECORDER_TEXT];
    recorder_text(recorded);
    if (recorded[0]) {
        buffer_string(out, "<p>");
        escaped(out, recorded);
        buffer_string(out, ".</p>\n");
    }
    struct buffer problems = {0};
    problems_write(&problems, "TASKPROF_CHANNELS ");
    if (problems.length) {
        buffer_char(&problems, '\0');
        buffer_string(out, "<pre>");
        escaped(out, problems.failed ? "" : problems.data);
        buffer_string(out, "</pre>\n");
    }
    buffer_release(&problems);
    buffer_string(out, "</body>\n</html>\n");
    snapshot_free(snapshot);
    if (out->failed) {
        http_error(reply, 503, "out of memory; try again");
        return;
    }
    reply->status = 200;
    reply->type = "text/html; charset=utf-8";
    reply->sized = true;
}
