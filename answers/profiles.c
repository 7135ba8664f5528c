#include "answers/profiles.h"

#include "answers/filter_query.h"
#include "answers/query.h"
#include "profiler/described/problems.h"
#include "proto/pprof.h"
#include "text/pick.h"
#include "text/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { SECONDS_MAX = 3600 }; // of ?seconds=: such a request holds one of the connections

// When the last goroutine snapshot was taken for anybody (CLOCK_MONOTONIC, 0: never): the next one
// says how many tasks have been stuck since. Relaxed: one number, nothing hangs on its order.
static _Atomic uint64_t last_snapshot_ns;

// A profile's bytes and the snapshots that they are made from; lives in the first one's arena.
struct encoded {
    struct pprof_stream *stream;
    struct snapshot *snapshot;
    struct snapshot *before; // NULL: no delta
};

static ssize_t encoded_read(void *context, char *into, size_t room)
{
    struct encoded *encoded = context;
    return pprof_read(encoded->stream, into, room);
}

static void encoded_free(void *context)
{
    struct encoded *encoded = context;
    struct snapshot *snapshot = encoded->snapshot;
    struct snapshot *before = encoded->before;
    pprof_free(encoded->stream);
    snapshot_free(before);
    snapshot_free(snapshot);
}

static void out_of_memory(struct reply *reply)
{
    reply_error(reply, 503, "out of memory for a snapshot; try again");
}

// A snapshot, or NULL and an error in *reply.
static struct snapshot *take(unsigned flags, uint64_t since_ns, struct reply *reply)
{
    struct snapshot *snapshot;
    int result = snapshot_take(flags, since_ns, &snapshot);
    if (result == 0)
        return snapshot;
    if (result == -ENOMEM)
        out_of_memory(reply);
    else
        reply_error(reply, 500, "no snapshot could be taken: %s", strerrordesc_np(-result));
    return NULL;
}

// Answers with a profile in protobuf form. Takes over `stream` and the snapshots.
static void serve_encoded(struct reply *reply, int result, struct pprof_stream *stream,
                          struct snapshot *snapshot, struct snapshot *before, const char *filename)
{
    struct encoded *encoded = NULL;
    if (result == 0) {
        encoded = arena_alloc(&snapshot->arena, sizeof(*encoded));
        if (!encoded)
            pprof_free(stream);
    }
    if (!encoded) {
        snapshot_free(before);
        snapshot_free(snapshot);
        out_of_memory(reply);
        return;
    }
    *encoded = (struct encoded){stream, snapshot, before};
    reply->status = 200;
    reply->type = "application/octet-stream";
    reply->filename = filename;
    reply->body.read = encoded_read;
    reply->body.free = encoded_free;
    reply->body.context = encoded;
}

static ssize_t read_text(void *context, char *into, size_t room)
{
    return text_read(context, into, room);
}

static void free_text(void *context)
{
    text_free(context);
}

// Answers with a text that one of the text_ functions made of the snapshot, with that result.
static void serve_text(struct reply *reply, int result, struct text *text,
                       struct snapshot *snapshot)
{
    if (result < 0) {
        snapshot_free(snapshot);
        out_of_memory(reply);
        return;
    }
    reply->status = 200;
    reply->type = "text/plain; charset=utf-8";
    reply->body.read = read_text;
    reply->body.free = free_text;
    reply->body.context = text;
}

// debug=, which may be 0 … max. false: an error is in *reply.
static bool read_debug(const char *query, unsigned max, uint64_t *ret, struct reply *reply)
{
    char text[16] = "";
    int found = query_get(query, "debug", text, sizeof(text));
    *ret = 0;
    if (found == 0 || (found > 0 && !text[0]) || (found > 0 && query_unsigned(text, max, ret)))
        return true;
    reply_error(reply, 400, "debug= must be a number of 0 to %u: 0 is for go tool pprof, %s", max,
                max == 1 ? "1 is text" : "1 is text by stack, 2 text by task, 3 for pprof by task");
    return false;
}

// seconds=, into *ret_wait, 0: not given. false: an error is in *reply.
static bool read_seconds(const char *query, uint64_t debug, unsigned *ret_wait, struct reply *reply)
{
    char text[32] = "";
    uint64_t seconds = 0;
    int found = query_get(query, "seconds", text, sizeof(text));
    *ret_wait = 0;
    if (found == 0 || (found > 0 && !text[0]))
        return true;
    if (found < 0 || !query_unsigned(text, UINT64_MAX, &seconds) || seconds == 0) {
        reply_error(reply, 400, "invalid value for \"seconds\" - must be a positive integer");
        return false;
    }
    if (debug != 0) {
        reply_error(reply, 400,
                    "seconds and debug params are incompatible: a delta is for go tool "
                    "pprof, without debug=");
        return false;
    }
    if (seconds > SECONDS_MAX) {
        reply_error(reply, 400,
                    "seconds= can be %u at most; for longer spans save two profiles and "
                    "compare them with go tool pprof -diff_base",
                    SECONDS_MAX);
        return false;
    }
    *ret_wait = (unsigned)seconds;
    return true;
}

// running=1, into *ret. false: an error is in *reply.
static bool read_running(const char *query, unsigned wait, bool *ret, struct reply *reply)
{
    char text[8] = "";
    int found = query_get(query, "running", text, sizeof(text));
    *ret = found > 0 && strcmp(text, "1") == 0;
    if (found && (found < 0 || (text[0] && strcmp(text, "0") != 0 && !*ret))) {
        reply_error(reply, 400,
                    "running= can be running=1: running threads are asked for their stacks, by a "
                    "signal");
        return false;
    }
    if (*ret && wait) {
        reply_error(reply, 400, "running= and seconds= are incompatible: what runs is no leak");
        return false;
    }
    return true;
}

// One sample a task, for those tasks that the filter lets through.
static void serve_tasks(struct snapshot *snapshot, const struct filter *filter, struct reply *reply)
{
    struct pprof_stream *stream = NULL;
    struct pick pick;
    int result = pick_tasks(snapshot, filter, &pick);
    if (result == 0) {
        result = pick_apply(&pick, snapshot);
        pick_release(&pick);
    }
    if (result == 0)
        result = pprof_tasks(snapshot, &stream);
    serve_encoded(reply, result, stream, snapshot, NULL, "goroutine");
}

// Of debug=0: whether no filter is given. false: an error is in *reply, with what would take it.
static bool is_unfiltered(const char *given, const char *others, struct reply *reply)
{
    if (given)
        reply_error(reply, 400,
                    "%s= needs debug=%s: debug=0 is the whole profile, which go tool pprof filters "
                    "with -tagfocus",
                    given, others);
    return !given;
}

void profile_goroutine(const struct request *request, const char *query, struct reply *reply)
{
    uint64_t debug;
    unsigned wait;
    struct filter filter;
    bool running;
    (void)request;
    if (!read_debug(query, 3, &debug, reply) || !read_seconds(query, debug, &wait, reply) ||
        !filter_read(query, &filter, reply) || !read_running(query, wait, &running, reply))
        return;
    if (debug == 0 && !is_unfiltered(filter_given(query), "1, 2 or 3", reply))
        return;
    uint64_t since = atomic_load_explicit(&last_snapshot_ns, memory_order_relaxed);
    unsigned flags = (debug >= 2 ? SNAPSHOT_TASKS : 0) | (running ? SNAPSHOT_RUNNING : 0);
    struct snapshot *snapshot = take(flags, since, reply);
    if (!snapshot)
        return;
    atomic_store_explicit(&last_snapshot_ns, snapshot->monotonic_ns, memory_order_relaxed);
    struct pprof_stream *stream = NULL;
    struct text *text = NULL;
    int result;
    if (wait) {
        reply->wait_s = wait;
        reply->before = snapshot;
    } else if (debug == 0) {
        result = pprof_goroutine(snapshot, NULL, &stream);
        serve_encoded(reply, result, stream, snapshot, NULL, "goroutine");
    } else if (debug == 3) {
        serve_tasks(snapshot, &filter, reply);
    } else {
        result = debug == 1 ? text_groups(snapshot, &filter, &text)
                            : text_tasks(snapshot, &filter, &text);
        serve_text(reply, result, text, snapshot);
    }
}

void profile_goroutine_delta(struct reply *reply)
{
    struct snapshot *before = reply->before;
    struct pprof_stream *stream = NULL;
    *reply = (struct reply){0};
    struct snapshot *snapshot = take(0, before->monotonic_ns, reply);
    if (!snapshot) {
        snapshot_free(before);
        return;
    }
    atomic_store_explicit(&last_snapshot_ns, snapshot->monotonic_ns, memory_order_relaxed);
    snapshot_align(before, snapshot);
    int result = pprof_goroutine(snapshot, before, &stream);
    serve_encoded(reply, result, stream, snapshot, before, "goroutine-delta");
}

void profile_channel(const struct request *request, const char *query, struct reply *reply)
{
    uint64_t debug;
    struct filter filter;
    (void)request;
    if (!read_debug(query, 1, &debug, reply) || !filter_read_channels(query, &filter, reply))
        return;
    if (debug == 0 && !is_unfiltered(filter_given_channels(query), "1", reply))
        return;
    struct snapshot *snapshot = take(0, 0, reply);
    if (!snapshot)
        return;
    if (debug == 1) {
        struct text *text = NULL;
        struct buffer problems = {0};
        problems_write(&problems, "# TASKPROF_CHANNELS ");
        buffer_char(&problems, '\0');
        int result =
            problems.failed ? -ENOMEM : text_channels(snapshot, &filter, problems.data, &text);
        buffer_release(&problems);
        serve_text(reply, result, text, snapshot);
        return;
    }
    struct pprof_stream *stream = NULL;
    int result = pprof_channel(snapshot, &stream);
    serve_encoded(reply, result, stream, snapshot, NULL, "channel");
}

void profile_threadcreate(const struct request *request, const char *query, struct reply *reply)
{
    uint64_t debug;
    (void)request;
    if (!read_debug(query, 1, &debug, reply))
        return;
    struct snapshot *snapshot = take(0, 0, reply);
    if (!snapshot)
        return;
    if (debug == 1) {
        struct text *text = NULL;
        int result = text_threads(snapshot, &text);
        serve_text(reply, result, text, snapshot);
        return;
    }
    struct pprof_stream *stream = NULL;
    int result = pprof_threadcreate(snapshot, &stream);
    serve_encoded(reply, result, stream, snapshot, NULL, "threadcreate");
}
