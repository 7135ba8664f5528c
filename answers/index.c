#include "answers/index.h"

#include "profiler/described/problems.h"
#include "text/locks.h"
#include "text/missing.h"
#include "text/words.h"

#include <stdatomic.h>
#include <string.h>

typedef void (*note_function)(struct buffer *out);

static _Atomic(note_function) note_writer;

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

static void row(struct buffer *out, const struct snapshot *snapshot, const struct route *route)
{
    buffer_string(out, "<tr><td>");
    if (route->count)
        buffer_unsigned(out, route->count(snapshot));
    buffer_string(out, "</td><td><a href=\"");
    escaped(out, route->name);
    buffer_string(out, route->count ? "?debug=1\">" : "\">");
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

// What whoever keeps or watches something has to say.
static void note(struct buffer *out)
{
    // Acquire: pairs with index_set_note.
    void (*write)(struct buffer *) = atomic_load_explicit(&note_writer, memory_order_acquire);
    struct buffer text = {0};
    if (write)
        write(&text);
    if (text.length) {
        buffer_char(&text, '\0');
        buffer_string(out, "<p>");
        escaped(out, text.failed ? "" : text.data);
        buffer_string(out, ".</p>\n");
    }
    buffer_release(&text);
}

void index_set_note(void (*write)(struct buffer *out))
{
    atomic_store_explicit(&note_writer, write, memory_order_release);
}

void index_answer(const struct route *routes, size_t count, struct reply *reply)
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
    if (snapshot_take(0, 0, &snapshot) < 0) {
        reply_error(reply, 503, "out of memory for a snapshot; try again");
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
    text_missing_since(out, snapshot, "<p>", "</p>\n");
    note(out);
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
        reply_error(reply, 503, "out of memory; try again");
        return;
    }
    reply->status = 200;
    reply->type = "text/html; charset=utf-8";
    reply->sized = true;
}
