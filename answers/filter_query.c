#include "answers/filter_query.h"

#include "answers/exchange.h"
#include "answers/query.h"

#include <stdio.h>
#include <string.h>

static const char *given(const char *query, const char *const *names)
{
    for (; *names; names++) {
        char value[2] = "";
        int found = query_get(query, *names, value, sizeof(value));
        // -EINVAL is that of a value that is there, and is too long for this room.
        if (found < 0 || (found > 0 && value[0]))
            return *names;
    }
    return NULL;
}

const char *filter_given(const char *query)
{
    static const char *const names[] = {"state", "min_wait", "channel", "limit", "files", NULL};
    return given(query, names);
}

const char *filter_given_channels(const char *query)
{
    static const char *const names[] = {"channel", "limit", NULL};
    return given(query, names);
}

static bool read_channel(const char *query, struct filter *filter, struct reply *reply)
{
    if (query_get(query, "channel", filter->channel, sizeof(filter->channel)) >= 0)
        return true;
    reply_error(reply, 400,
                "channel= is badly encoded or too long; right would be a name as the channel "
                "profile shows it");
    return false;
}

// limit=, which has to be `least` at least; untouched when it is not given.
static bool read_limit(const char *query, uint64_t least, uint64_t *limit, struct reply *reply)
{
    char text[32] = "";
    int found = query_get(query, "limit", text, sizeof(text));
    if (found == 0 || (found > 0 && !text[0]))
        return true;
    if (found > 0 && query_unsigned(text, UINT32_MAX, limit) && *limit >= least)
        return true;
    reply_error(reply, 400, "limit= must be a positive integer%s: limit=100",
                least ? "" : ", or 0 for sums alone");
    return false;
}

bool filter_read_channels(const char *query, struct filter *ret, struct reply *reply)
{
    *ret = (struct filter){.limit = FILTER_CHANNEL_ROWS};
    return read_channel(query, ret, reply) && read_limit(query, 0, &ret->limit, reply);
}

bool filter_read(const char *query, struct filter *ret, struct reply *reply)
{
    *ret = (struct filter){0};
    char text[32] = "";
    if (query_get(query, "state", ret->state, sizeof(ret->state)) < 0) {
        reply_error(
            reply, 400,
            "state= is badly encoded or too long; right would be a wait reason as it stands "
            "in the brackets of debug=2: state=chan+receive");
        return false;
    }
    if (ret->state[0] && !snapshot_is_state(ret->state)) {
        char states[1024];
        size_t length = 0;
        for (int reason = 1; reason < TASKPROF_REASONS; reason++)
            length += (size_t)snprintf(states + length, sizeof(states) - length, "%s, ",
                                       taskprof_reason_text((enum taskprof_reason)reason));
        reply_error(reply, 400,
                    "state= is no state that a task can have; right would be one of: %srunning, "
                    "runnable, suspended, unknown",
                    states);
        return false;
    }
    int found = query_get(query, "min_wait", text, sizeof(text));
    if (found && (found < 0 || (text[0] && !query_duration(text, &ret->min_wait_ns)))) {
        reply_error(
            reply, 400,
            "min_wait= is no span of time; right would be min_wait=90s, 5m, 1h30m, 250ms or "
            "a number of seconds");
        return false;
    }
    ret->has_min_wait = found && text[0];
    if (!read_channel(query, ret, reply) || !read_limit(query, 1, &ret->limit, reply))
        return false;
    found = query_get(query, "files", text, sizeof(text));
    if (found && (found < 0 || (text[0] && strcmp(text, "go") != 0))) {
        reply_error(
            reply, 400,
            "files= can be files=go alone: for parsers of Go's dumps, which know no files but "
            ".c, .go and .s");
        return false;
    }
    ret->go_files = found && text[0];
    return true;
}
