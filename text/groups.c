// debug=1 of the goroutine profile. Lines that `go tool pprof` reads: the first, and "COUNT @ 0x…".
// All others begin with "#", which it skips.

#include "profiler/base/span.h"
#include "text/frames.h"
#include "text/locks.h"
#include "text/missing.h"
#include "text/text.h"
#include "text/words.h"

#include <errno.h>

struct groups {
    struct text text;
    struct filter filter;
    bool started;
    bool ended;
    size_t next;
    uint64_t shown;      // groups
    uint64_t left_out;   // groups, by limit=
    uint64_t left_tasks; // tasks in them
    uint64_t excluded;   // tasks, by the other filters
};

// Counts, before the first line is written, what the filters leave: the first line has the total.
static uint64_t count_all(struct groups *groups)
{
    const struct snapshot *snapshot = groups->text.snapshot;
    uint64_t total = 0;
    uint64_t shown = 0;
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct snapshot_group *group = &snapshot->groups[i];
        if (!filter_group(&groups->filter, group)) {
            groups->excluded += group->count;
        } else if (groups->filter.limit && shown == groups->filter.limit) {
            groups->left_out++;
            groups->left_tasks += group->count;
        } else {
            shown++;
            total += group->count;
        }
    }
    return total;
}

static void labels(struct buffer *out, const struct snapshot_group *group)
{
    buffer_string(out, "# labels: {");
    if (group->channel_class) {
        char channel[WORDS_CHANNEL_MAX];
        words_channel(group->channel_class, channel);
        buffer_string(out, "\"channel\":");
        words_quoted(out, channel);
        buffer_string(out, ", ");
    }
    buffer_string(out, "\"state\":");
    words_quoted(out, snapshot_state_text(group));
    const char *call = group->activity == TASK_IN_SYSCALL ? words_syscall(group->syscall) : NULL;
    if (call) {
        buffer_string(out, ", \"syscall\":");
        words_quoted(out, call);
    }
    uint32_t end = stack_get(group->stack)->end;
    if (end) {
        buffer_string(out, ", \"truncated\":");
        words_quoted(out, frames_end_text(end));
    }
    buffer_string(out, "}\n");
}

static void waits(struct buffer *out, const struct snapshot *snapshot,
                  const struct snapshot_group *group)
{
    static const char *const ages[SNAPSHOT_AGES] = {"<1s", "<10s", "<1m", "<10m",
                                                    "<1h", "<1d",  ">=1d"};
    if (group->activity != TASK_PARKED)
        return;
    buffer_string(out, "# waits: longest ");
    span_write(out, group->wait_max_ns);
    buffer_printf(out, " (goroutine %llu), total ", (unsigned long long)group->oldest_task);
    span_write(out, group->wait_sum_ns);
    buffer_string(out, "; ages:");
    for (int i = 0; i < SNAPSHOT_AGES; i++)
        if (group->ages[i])
            buffer_printf(out, " %s: %llu", ages[i], (unsigned long long)group->ages[i]);
    buffer_char(out, '\n');
    if (snapshot->since_ns && group->stuck_since && snapshot->monotonic_ns > snapshot->since_ns) {
        buffer_printf(out, "# %llu of them were already here ",
                      (unsigned long long)group->stuck_since);
        span_write(out, snapshot->monotonic_ns - snapshot->since_ns);
        buffer_string(out, " ago, at the last snapshot\n");
    }
}

static void object(struct buffer *out, const struct snapshot *snapshot,
                   const struct snapshot_group *group)
{
    // A channel is named among the labels; of a select there are several.
    if (group->activity != TASK_PARKED || group->channel_class ||
        group->reason == TASKPROF_SELECT || (!group->object && group->count == 1))
        return;
    buffer_string(out, "# waits on: ");
    if (words_fd(group->object) >= 0) {
        buffer_printf(out, "file descriptor %d", words_fd(group->object));
    } else if (group->object) {
        buffer_string(out, "0x");
        buffer_hex(out, group->object);
        const struct snapshot_lock *lock = snapshot_find_lock(snapshot, group->object);
        if (lock && lock->holder != LOCK_HOLDER_UNKNOWN) {
            char holder[TEXT_HOLDER_MAX];
            text_holder(snapshot, lock, 0, holder);
            buffer_string(out, ", held by ");
            buffer_string(out, holder);
        }
    } else {
        buffer_string(out, "not all the same object, or none");
    }
    buffer_char(out, '\n');
}

static void channel(struct buffer *out, const struct snapshot *snapshot,
                    const struct snapshot_group *group)
{
    if (group->channel == SNAPSHOT_NO_CHANNEL || group->channel >= snapshot->channel_count)
        return;
    const struct snapshot_channel *channel = &snapshot->channels[group->channel];
    buffer_string(out, "# channel: len ");
    if (channel->reading.length < 0)
        buffer_string(out, "unknown");
    else
        buffer_unsigned(out, (uint64_t)channel->reading.length);
    buffer_string(out, ", cap ");
    if (channel->reading.capacity < 0)
        buffer_string(out, "unknown");
    else
        buffer_unsigned(out, (uint64_t)channel->reading.capacity);
    buffer_printf(out, "%s; %llu senders and %llu receivers wait\n",
                  channel->reading.closed ? ", closed" : "", (unsigned long long)channel->senders,
                  (unsigned long long)channel->receivers);
}

static void one_group(struct buffer *out, const struct snapshot *snapshot,
                      const struct snapshot_group *group)
{
    const struct stack *stack = stack_get(group->stack);
    buffer_unsigned(out, group->count);
    buffer_string(out, " @");
    for (uint32_t i = 0; i < stack->depth; i++) {
        buffer_string(out, " 0x");
        buffer_hex(out, stack->frames[i]);
    }
    // The format has no group without an address. Readers take 1 off each: this is address 0.
    if (stack->depth == 0)
        buffer_string(out, " 0x1");
    buffer_char(out, '\n');
    labels(out, group);
    frames_by_address(out, snapshot, group->stack, "#");
    if (stack->depth == 0)
        buffer_string(out, "#\tno stack\n");
    waits(out, snapshot, group);
    object(out, snapshot, group);
    channel(out, snapshot, group);
    if (stack_get(group->creation)->depth) {
        buffer_string(out, "# created by:\n");
        frames_by_address(out, snapshot, group->creation, "#");
    }
    buffer_char(out, '\n');
}

static bool next_piece(struct text *text)
{
    struct groups *groups = (struct groups *)text;
    const struct snapshot *snapshot = text->snapshot;
    if (!groups->started) {
        groups->started = true;
        buffer_string(&text->out, "goroutine profile: total ");
        buffer_unsigned(&text->out, count_all(groups));
        buffer_string(&text->out, "\n# ");
        words_summary(&text->out, snapshot);
        buffer_char(&text->out, '\n');
        text_missing(&text->out, snapshot, "# ", "\n");
        buffer_char(&text->out, '\n');
        text_locks(&text->out, snapshot, true);
        return true;
    }
    while (groups->next < snapshot->group_count &&
           (!groups->filter.limit || groups->shown < groups->filter.limit)) {
        const struct snapshot_group *group = &snapshot->groups[groups->next++];
        if (filter_group(&groups->filter, group)) {
            groups->shown++;
            one_group(&text->out, snapshot, group);
            return true;
        }
    }
    if (groups->ended)
        return false;
    groups->ended = true;
    text_missing_since(&text->out, snapshot, "# ", "\n");
    if (groups->left_out)
        buffer_printf(&text->out, "# ... %llu more groups (%llu tasks) left out by limit=%llu\n",
                      (unsigned long long)groups->left_out, (unsigned long long)groups->left_tasks,
                      (unsigned long long)groups->filter.limit);
    if (groups->excluded)
        buffer_printf(&text->out, "# %llu tasks not shown: the filters exclude them\n",
                      (unsigned long long)groups->excluded);
    return true;
}

int text_groups(struct snapshot *snapshot, const struct filter *filter, struct text **ret)
{
    struct groups *groups = text_new(snapshot, sizeof(*groups), next_piece);
    if (!groups)
        return -ENOMEM;
    groups->filter = *filter;
    *ret = &groups->text;
    return 0;
}
