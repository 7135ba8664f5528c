#include "text/task_header.h"

#include "profiler/base/span.h"
#include "text/frames.h"
#include "text/locks.h"
#include "text/words.h"

#include <string.h>

// What the header of one task is made from.
struct shown {
    const struct snapshot *snapshot;
    const struct snapshot_task *task;
    const struct snapshot_group *group;
    const struct task_details *details;     // NULL: the task has ended since
    const struct snapshot_channel *channel; // that it waits on; NULL: none, or several
    const struct snapshot_lock *lock;       // likewise
    const struct snapshot_lock_wait *wait;  // of `lock`
    uint64_t waited_ns;
    int fd; // that it waits on; -1: none
};

static struct shown show(const struct snapshot *snapshot, const struct snapshot_task *task,
                         const struct task_details *details)
{
    struct shown shown = {.snapshot = snapshot,
                          .task = task,
                          .group = &snapshot->groups[task->group],
                          .details = details,
                          .fd = -1};
    if (task->wait_start_ns && snapshot->monotonic_ns > task->wait_start_ns)
        shown.waited_ns = snapshot->monotonic_ns - task->wait_start_ns;
    uint32_t channel = shown.group->channel;
    if (details && details->channel < snapshot->channel_count)
        channel = details->channel;
    if (channel < snapshot->channel_count)
        shown.channel = &snapshot->channels[channel];
    shown.lock = snapshot_lock_of(snapshot, task, &shown.wait);
    if (details && !shown.group->channel_class)
        shown.fd = words_fd(details->object);
    return shown;
}

struct labels {
    struct buffer *out;
    const char *separator; // before the next one
};

static void label_key(struct labels *labels, const char *key)
{
    buffer_string(labels->out, labels->separator);
    labels->separator = ", ";
    buffer_char(labels->out, '"');
    buffer_string(labels->out, key);
    buffer_string(labels->out, "\": ");
}

static void label(struct labels *labels, const char *key, const char *value)
{
    label_key(labels, key);
    words_quoted(labels->out, value);
}

static void label_number(struct labels *labels, const char *key, unsigned long long value)
{
    label_key(labels, key);
    buffer_char(labels->out, '"');
    buffer_unsigned(labels->out, value);
    buffer_char(labels->out, '"');
}

static void label_known(struct labels *labels, const char *key, int64_t value)
{
    if (value >= 0)
        label_number(labels, key, (unsigned long long)value);
}

static void label_channel(struct labels *labels, const struct shown *shown)
{
    if (shown->channel)
        label_known(labels, "cap", shown->channel->reading.capacity);
    if (shown->group->channel_class) {
        char name[WORDS_CHANNEL_MAX];
        words_channel(shown->group->channel_class, name);
        label(labels, "channel", name);
    }
    if (shown->channel && shown->channel->reading.closed)
        label(labels, "closed", "true");
}

static void label_deadlock(struct labels *labels, const struct shown *shown)
{
    if (shown->lock && shown->wait->deadlock != SNAPSHOT_NONE && !shown->wait->behind)
        label_number(labels, "deadlock", shown->wait->deadlock + 1ull);
}

static void label_name(struct labels *labels, const struct task_details *details)
{
    if (!details || !details->name[0])
        return;
    char name[TASKPROF_NAME_SIZE + 1] = "";
    memcpy(name, details->name, TASKPROF_NAME_SIZE);
    label(labels, "name", name);
}

// Which of many mutexes, say. A channel has its name.
static void label_object(struct labels *labels, const struct shown *shown)
{
    if (!shown->details || !shown->details->object || shown->fd >= 0 || shown->group->channel_class)
        return;
    label_key(labels, "object");
    buffer_string(labels->out, "\"0x");
    buffer_hex(labels->out, shown->details->object);
    buffer_char(labels->out, '"');
}

static void label_owner(struct labels *labels, const struct shown *shown)
{
    if (!shown->lock || shown->lock->holder == LOCK_HOLDER_UNKNOWN)
        return;
    char holder[TEXT_HOLDER_MAX];
    text_holder(shown->snapshot, shown->lock, shown->task->id, holder);
    label(labels, "owner", holder);
}

static void label_syscall(struct labels *labels, const struct snapshot_group *group)
{
    if (group->activity != TASK_IN_SYSCALL)
        return;
    const char *call = words_syscall(group->syscall);
    if (call)
        label(labels, "syscall", call);
    else
        label_number(labels, "syscall", group->syscall);
}

static void label_wait(struct labels *labels, const struct shown *shown)
{
    if (!shown->task->wait_start_ns)
        return;
    label_key(labels, "wait");
    buffer_char(labels->out, '"');
    span_write(labels->out, shown->waited_ns);
    buffer_char(labels->out, '"');
}

static void write_header(struct buffer *out, const struct shown *shown)
{
    buffer_string(out, "goroutine ");
    buffer_unsigned(out, shown->task->id);
    buffer_string(out, " [");
    buffer_string(out, snapshot_state_text(shown->group));
    if (shown->waited_ns >= 60000000000u)
        buffer_printf(out, ", %llu minutes", (unsigned long long)(shown->waited_ns / 60000000000u));

    // Keys in order, as Go has them.
    struct labels labels = {.out = out, .separator = " labels:{"};
    label_channel(&labels, shown);
    label_deadlock(&labels, shown);
    if (!shown->details)
        label(&labels, "ended", "since the snapshot");
    label_known(&labels, "fd", shown->fd);
    if (shown->channel)
        label_known(&labels, "len", shown->channel->reading.length);
    label_name(&labels, shown->details);
    label_object(&labels, shown);
    label_owner(&labels, shown);
    label_syscall(&labels, shown->group);
    if (shown->details && shown->details->tid)
        label_number(&labels, "tid", (unsigned long long)shown->details->tid);
    uint32_t end = stack_get(shown->group->stack)->end;
    if (end)
        label(&labels, "truncated", frames_end_text(end));
    label_wait(&labels, shown);
    buffer_string(out, labels.separator[0] == ',' ? "}]:\n" : "]:\n");
}

void task_header(struct buffer *out, const struct snapshot *snapshot,
                 const struct snapshot_task *task, const struct task_details *details)
{
    struct shown shown = show(snapshot, task, details);
    write_header(out, &shown);
}
