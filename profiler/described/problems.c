#include "profiler/described/problems.h"

#include "profiler/base/lock.h"

#include <errno.h>
#include <stdio.h>

enum { KEPT_MAX = 64, PATH_SHOWN = 256 };

struct problem {
    unsigned line;
    char text[PROBLEM_MAX];
};

struct list {
    unsigned count;
    unsigned more; // that had no room
    struct problem problems[KEPT_MAX];
};

static struct lock lock = LOCK_INIT; // guards all below
static char file[PATH_SHOWN];
static bool reading;
static struct list *lists; // PROBLEM_KINDS; kept for ever once there was a file

static void clear(struct list *list)
{
    list->count = list->more = 0;
}

int problems_begin(const char *path)
{
    lock_acquire(&lock);
    if (!lists)
        lists = memory_map(PROBLEM_KINDS * sizeof(*lists));
    bool ready = lists != NULL;
    for (int kind = 0; ready && kind < PROBLEM_KINDS; kind++)
        clear(&lists[kind]);
    snprintf(file, sizeof(file), "%s", path);
    for (char *at = file; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            *at = '?';
    reading = false;
    lock_release(&lock);
    return ready ? 0 : -ENOMEM;
}

void problems_end(void)
{
    lock_acquire(&lock);
    for (int kind = 0; lists && kind < PROBLEM_KINDS; kind++)
        clear(&lists[kind]);
    reading = false;
    lock_release(&lock);
}

void problems_add(enum problem_kind kind, unsigned line, const char *text)
{
    lock_acquire(&lock);
    struct list *list = lists ? &lists[kind] : NULL;
    if (list && list->count < KEPT_MAX) {
        struct problem *problem = &list->problems[list->count++];
        problem->line = line;
        snprintf(problem->text, sizeof(problem->text), "%s", text);
    } else if (list) {
        list->more++;
    }
    lock_release(&lock);
}

void problems_forget(enum problem_kind kind)
{
    lock_acquire(&lock);
    if (lists)
        clear(&lists[kind]);
    lock_release(&lock);
}

void problems_reading(bool is_reading)
{
    lock_acquire(&lock);
    reading = is_reading;
    lock_release(&lock);
}

static void write_one(struct buffer *out, const char *prefix, const struct problem *problem)
{
    if (problem->line)
        buffer_printf(out, "%s%s:%u: %s\n", prefix, file, problem->line, problem->text);
    else
        buffer_printf(out, "%s%s: %s\n", prefix, file, problem->text);
}

void problems_write(struct buffer *out, const char *prefix)
{
    lock_acquire(&lock);
    if (reading)
        buffer_printf(out, "%s%s: the types that it describes are being looked up\n", prefix, file);
    for (int kind = 0; lists && kind < PROBLEM_KINDS; kind++) {
        for (unsigned i = 0; i < lists[kind].count; i++)
            write_one(out, prefix, &lists[kind].problems[i]);
        if (lists[kind].more)
            buffer_printf(out, "%s%s: and %u more like these\n", prefix, file, lists[kind].more);
    }
    lock_release(&lock);
}

void problems_after_fork(void)
{
    lock_reset(&lock);
    reading = false;
}
