// debug=1 of the channel profile: a table for people, then the misuses.

#include "profiler/base/clock.h"
#include "profiler/symbols/origin.h"
#include "text/fold.h"
#include "text/frames.h"
#include "text/missing.h"
#include "text/text.h"
#include "text/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum stage {
    STAGE_HEAD,
    STAGE_ROWS,
    STAGE_LEFT_OUT,
    STAGE_MISUSE_HEAD,
    STAGE_MISUSE_ROWS,
    STAGE_END
};

struct channels {
    struct text text;
    struct filter filter;
    const char *problems;
    struct fold fold;
    enum stage stage;
    size_t next;
    int width; // of the first column
};

enum { WIDTH_MIN = 7, WIDTH_MAX = 40 };

// A printable copy of a channel's name; of an unnamed one, where it was made.
static void name_of(const struct snapshot_channel *channel, char into[WORDS_CHANNEL_MAX])
{
    const struct channel_class *class = channel_class_get(channel->channel_class);
    // One that was found in memory and has no name of its own has its type's.
    if (channel->found && class && strcmp(channel->name, class->name) == 0)
        snprintf(into, WORDS_CHANNEL_MAX, "%.*s 0x%zx", TASKPROF_CHAN_NAME_SIZE, channel->name,
                 (size_t)channel->object);
    else if (channel->name[0])
        snprintf(into, WORDS_CHANNEL_MAX, "%.*s", TASKPROF_CHAN_NAME_SIZE, channel->name);
    else
        words_channel(channel->channel_class, into);
    for (char *at = into; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
}

static void count_text(int64_t value, char into[24])
{
    if (value < 0)
        snprintf(into, 24, "?");
    else
        snprintf(into, 24, "%lld", (long long)value);
}

// The channel that a line is about; of a line of sums, one of those that it stands for.
static const struct snapshot_channel *channel_of(const struct channels *channels,
                                                 const struct fold_line *line)
{
    uint32_t index = line->is_rest ? channels->fold.rests[line->index].first : line->index;
    return &channels->text.snapshot->channels[index];
}

static void head(struct channels *channels)
{
    const struct snapshot *snapshot = channels->text.snapshot;
    struct buffer *out = &channels->text.out;
    buffer_printf(out, "channel profile: total %llu\n# ",
                  (unsigned long long)(snapshot->channel_count - channels->fold.excluded));
    words_summary(out, snapshot);
    buffer_char(out, '\n');
    text_missing(out, snapshot, "# ", "\n");
    buffer_string(out, channels->problems);
    buffer_char(out, '\n');
    channels->width = WIDTH_MIN;
    for (size_t i = 0; i < channels->fold.line_count; i++) {
        char name[WORDS_CHANNEL_MAX];
        name_of(channel_of(channels, &channels->fold.lines[i]), name);
        int length = (int)strlen(name);
        if (length > channels->width)
            channels->width = length > WIDTH_MAX ? WIDTH_MAX : length;
    }
    buffer_printf(out, "%-*s  %8s  %15s  %-6s  %8s  %9s  %12s  %-32s  %s\n", channels->width,
                  "CHANNEL", "ID", "LEN/CAP", "CLOSED", "SENDERS", "RECEIVERS", "LONGEST WAIT",
                  "LAST OPERATION", "MADE BY");
}

// A span of time as a NUL-terminated string: the buffer's content up to here is not touched.
static void span_text(uint64_t ns, char into[32])
{
    // Table cells are padded, so the text has to be had on its own. Seconds are enough here.
    if (ns >= 1000000000)
        ns -= ns % 1000000000;
    unsigned long long seconds = ns / 1000000000;
    if (seconds >= 3600)
        snprintf(into, 32, "%lluh%llum%llus", seconds / 3600, seconds / 60 % 60, seconds % 60);
    else if (seconds >= 60)
        snprintf(into, 32, "%llum%llus", seconds / 60, seconds % 60);
    else if (seconds)
        snprintf(into, 32, "%llus", seconds);
    else
        snprintf(into, 32, "%llums", (unsigned long long)(ns / 1000000));
}

static void last_operation(const struct snapshot *snapshot, const struct snapshot_channel *channel,
                           char into[96])
{
    static const char *const verbs[] = {
        [CHANNEL_NEVER] = "none",
        [CHANNEL_SENT] = "sent",
        [CHANNEL_RECEIVED] = "received",
        [CHANNEL_CLOSED] = "closed",
    };
    const struct channel_reading *reading = &channel->reading;
    unsigned kind = (unsigned)reading->last_operation;
    char who[40] = "";
    char when[40] = "";
    if (channel->found) {
        snprintf(into, 96, "-"); // nobody notes them
        return;
    }
    if (reading->last_operation != CHANNEL_NEVER) {
        if (reading->last_task)
            snprintf(who, sizeof(who), " by %llu", (unsigned long long)reading->last_task);
        if (reading->last_ns && reading->last_ns <= snapshot->monotonic_ns) {
            char span[32];
            span_text(snapshot->monotonic_ns - reading->last_ns, span);
            snprintf(when, sizeof(when), " %s ago", span);
        }
    }
    snprintf(into, 96, "%s%s%s", kind < sizeof(verbs) / sizeof(verbs[0]) ? verbs[kind] : "?", who,
             when);
}

static void row(struct channels *channels, const struct snapshot_channel *channel)
{
    const struct snapshot *snapshot = channels->text.snapshot;
    struct buffer *out = &channels->text.out;
    char name[WORDS_CHANNEL_MAX];
    char length[24];
    char capacity[24];
    char fill[52];
    char wait[32] = "-";
    char last[96];
    name_of(channel, name);
    count_text(channel->reading.length, length);
    count_text(channel->reading.capacity, capacity);
    snprintf(fill, sizeof(fill), "%s/%s", length, capacity);
    if (channel->senders || channel->receivers)
        span_text(channel->wait_max_ns, wait);
    last_operation(snapshot, channel, last);
    buffer_printf(out, "%-*s  %8llu  %15s  %-6s  %8llu  %9llu  %12s  %-32s  ", channels->width,
                  name, (unsigned long long)channel->id, fill,
                  channel->reading.closed ? "yes" : "no", (unsigned long long)channel->senders,
                  (unsigned long long)channel->receivers, wait, last);
    struct origin origin = origin_of(channel->creation);
    if (origin.address) {
        frames_function(out, snapshot, origin.frame->function, origin.address);
        buffer_char(out, ' ');
        frames_place(out, origin.frame);
    } else {
        buffer_char(out, '-');
    }
    buffer_char(out, '\n');
}

// The line of sums of those that have no row.
static void rest_row(struct channels *channels, const struct fold_line *line)
{
    const struct fold_rest *rest = &channels->fold.rests[line->index];
    char name[WORDS_CHANNEL_MAX];
    char more[24];
    char wait[32] = "-";
    name_of(channel_of(channels, line), name);
    bool some_have_rows = channels->filter.limit != 0;
    snprintf(more, sizeof(more), "%s%llu", some_have_rows ? "+" : "",
             (unsigned long long)rest->channels);
    if (rest->senders || rest->receivers)
        span_text(rest->wait_max_ns, wait);
    buffer_printf(&channels->text.out,
                  "%-*s  %8s  %15s  %-6s  %8llu  %9llu  %12s  their sums and longest wait\n",
                  channels->width, name, more, some_have_rows ? "more like it" : "in all", "",
                  (unsigned long long)rest->senders, (unsigned long long)rest->receivers, wait);
}

static void left_out(struct channels *channels)
{
    const struct fold *fold = &channels->fold;
    struct buffer *out = &channels->text.out;
    if (fold->folded)
        buffer_printf(out,
                      "\n# %llu channels have no row but are in lines of sums: limit=%llu rows for "
                      "each name or place\n",
                      (unsigned long long)fold->folded, (unsigned long long)channels->filter.limit);
    if (fold->excluded)
        buffer_printf(out, "%s# %llu channels not shown: channel= excludes them\n",
                      fold->folded ? "" : "\n", (unsigned long long)fold->excluded);
}

static void misuse_head(struct channels *channels)
{
    struct buffer *out = &channels->text.out;
    const struct misuses *misuses = &channels->text.snapshot->misuses;
    buffer_string(out, "\n# misuse:");
    for (int kind = 0; kind < MISUSE_KINDS; kind++)
        buffer_printf(out, "%s %s %llu", kind ? "," : "", misuse_text(kind),
                      (unsigned long long)misuses->counts[kind]);
    if (misuses->forgotten)
        buffer_printf(out, "; %llu of them, longest ago, are not shown",
                      (unsigned long long)misuses->forgotten);
    buffer_char(out, '\n');
}

static void misuse_row(struct channels *channels, const struct misuse *misuse)
{
    const struct snapshot *snapshot = channels->text.snapshot;
    struct buffer *out = &channels->text.out;
    char name[TASKPROF_CHAN_NAME_SIZE + 1] = "";
    memcpy(name, misuse->name, TASKPROF_CHAN_NAME_SIZE);
    buffer_char(out, '\n');
    words_instant(out, misuse->at_ns);
    buffer_printf(out, " %s", misuse_text(misuse->kind));
    if (misuse->channel)
        buffer_printf(out, ", channel %llu", (unsigned long long)misuse->channel);
    if (name[0]) {
        buffer_string(out, " \"");
        words_plain(out, name);
        buffer_char(out, '"');
    }
    buffer_printf(out, ", by goroutine %llu", (unsigned long long)misuse->task);
    if (misuse->times > 1) {
        buffer_printf(out, ", the last of %llu here since ", (unsigned long long)misuse->times);
        words_instant(out, misuse->first_ns);
    }
    buffer_string(out, ":\n");
    frames_by_address(out, snapshot, misuse->stack, "#");
    if (misuse->earlier) {
        buffer_string(out, "# it was closed or freed before by:\n");
        frames_by_address(out, snapshot, misuse->earlier, "#");
    }
}

static bool next_piece(struct text *text)
{
    struct channels *channels = (struct channels *)text;
    switch (channels->stage) {
    case STAGE_HEAD:
        head(channels);
        channels->stage = STAGE_ROWS;
        return true;
    case STAGE_ROWS:
        if (channels->next < channels->fold.line_count) {
            const struct fold_line *line = &channels->fold.lines[channels->next++];
            if (line->is_rest)
                rest_row(channels, line);
            else
                row(channels, channel_of(channels, line));
            return true;
        }
        channels->next = 0;
        channels->stage = STAGE_LEFT_OUT;
        __attribute__((fallthrough));
    case STAGE_LEFT_OUT:
        left_out(channels);
        channels->stage = STAGE_MISUSE_HEAD;
        __attribute__((fallthrough));
    case STAGE_MISUSE_HEAD:
        misuse_head(channels);
        channels->stage = STAGE_MISUSE_ROWS;
        return true;
    case STAGE_MISUSE_ROWS:
        if (channels->next < text->snapshot->misuses.kept) {
            misuse_row(channels, &text->snapshot->misuses.latest[channels->next++]);
            return true;
        }
        channels->stage = STAGE_END;
        text_missing_since(&text->out, text->snapshot, "# ", "\n");
        return true;
    case STAGE_END:
        break;
    }
    return false;
}

int text_channels(struct snapshot *snapshot, const struct filter *filter, const char *problems,
                  struct text **ret)
{
    struct channels *channels = text_new(snapshot, sizeof(*channels), next_piece);
    if (!channels)
        return -ENOMEM;
    channels->filter = *filter;
    channels->problems = arena_string(&snapshot->arena, problems, strlen(problems));
    if (!channels->problems)
        return -ENOMEM;
    int result = fold_channels(snapshot, filter, &channels->fold);
    if (result < 0)
        return result;
    *ret = &channels->text;
    return 0;
}
