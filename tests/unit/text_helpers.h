// A world for the text dumps: stacks, symbols, channels and tasks made by hand, so that a dump can
// be compared with what it must be, byte by byte.

#pragma once

#include "profiler/symbols/symbols.h"
#include "tests/test.h"
#include "text/text.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAIN = 0x400000, LIBRARY = 0x7f0000000000, WORLD_STACKS = 8, WORLD_TASKS = 4096 };

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)

// Stack 1 waits in worker, 2 was made by main through taskprof, 3 has no names, 4 is cut short.
static struct {
    struct stack stack;
    uintptr_t frames[4];
} world_stacks[WORLD_STACKS] = {
    [1] = {{.depth = 3}, {MAIN + 0x110, MAIN + 0x220, LIBRARY + 0x330}},
    [2] = {{.depth = 2}, {MAIN + 0x440, MAIN + 0x550}},
    [3] = {{.depth = 2}, {LIBRARY + 0x660, 0x12345}},
    [4] = {{.depth = 1, .end = STACK_BAD_FRAME}, {MAIN + 0x220}},
};

const struct stack *stack_get(stack_id id)
{
    return &world_stacks[id < WORLD_STACKS ? id : 0].stack;
}

static unsigned world_resolved; // addresses looked up

int symbols_resolve(const uintptr_t *addresses, size_t count, const struct symbol **ret)
{
    // Inlined into worker is receive; a name with a line break in it must not break a line.
    static const struct symbol_frame receive[] = {{"receive", "/src/queue.h", 7, 5},
                                                  {"worker", "/src/worker.c", 12, 10}};
    static const struct symbol_frame run[] = {{"ru\nn", "/src/run.c", 34, 30}};
    static const struct symbol_frame start[] = {{"start_thread", "", 0, 0}};
    static const struct symbol_frame create[] = {{"taskprof_pthread_create", "/src/tp.c", 1, 1}};
    static const struct symbol_frame main_[] = {{"main", "/src/main.c", 56, 50}};
    static const struct symbol_frame none[] = {{"", "", 0, 0}};
    static const struct symbol symbols[] = {
        {MAIN + 0x110, MAIN + 0x100, 2, true, receive},
        {MAIN + 0x220, MAIN + 0x200, 1, true, run},
        {LIBRARY + 0x330, LIBRARY + 0x300, 1, false, start},
        {MAIN + 0x440, MAIN + 0x400, 1, true, create},
        {MAIN + 0x550, MAIN + 0x500, 1, true, main_},
        {0, 0, 1, false, none},
    };
    for (size_t i = 0; i < count; i++) {
        size_t s = 0;
        while (symbols[s].address && symbols[s].address != addresses[i])
            s++;
        ret[i] = &symbols[s];
    }
    world_resolved += (unsigned)count;
    return 0;
}

static const struct channel_class world_classes[] = {
    [1] = {.name = "orders"},
    [2] = {.creation = 2},
    [3] = {.name = "a\"b\\c]\n\xff<"},
};

const struct channel_class *channel_class_get(uint32_t class_id)
{
    return class_id && class_id < 4 ? &world_classes[class_id] : NULL;
}

static struct task_details world_details[WORLD_TASKS];

bool snapshot_task_details(const struct snapshot *snapshot, const struct snapshot_task *task,
                           struct details_reader *reader, struct task_details *ret)
{
    (void)snapshot;
    (void)reader;
    if (task->slot >= WORLD_TASKS)
        return false;
    *ret = world_details[task->slot];
    ret->channel = SNAPSHOT_NO_CHANNEL;
    return true;
}

void snapshot_details_close(struct details_reader *reader)
{
    (void)reader;
}

static unsigned world_snapshots; // not freed yet

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    world_snapshots--;
    memory_unmap(snapshot->task_list, snapshot->task_list_bytes);
    arena_release(&snapshot->arena);
    memory_unmap(snapshot, sizeof(*snapshot));
}

static struct mapping world_mappings[] = {
    {.start = MAIN, .limit = MAIN + 0x1000, .path = "/bin/server"},
    {.start = LIBRARY, .limit = LIBRARY + 0x1000, .bias = LIBRARY, .path = "/lib/libdark.so"},
};

// A snapshot of these groups, taken at 2026-01-31T23:59:59.123Z, 1000 s after the system's start.
static inline struct snapshot *world_snapshot(const struct snapshot_group *groups, size_t count)
{
    struct snapshot *snapshot = memory_map(sizeof(*snapshot));
    assert_non_null(snapshot);
    world_snapshots++;
    snapshot->time_ns = 1769903999123456789;
    snapshot->monotonic_ns = 1000 * SECOND;
    snapshot->duration_ns = 1500000;
    snapshot->groups = arena_copy(&snapshot->arena, groups, count * sizeof(*groups));
    snapshot->group_count = count;
    snapshot->mappings = world_mappings;
    snapshot->mapping_count = 2;
    for (size_t i = 0; i < count; i++)
        snapshot->tasks += groups[i].count;
    snapshot->threads = snapshot->tasks;
    return snapshot;
}

// All of a text, read in pieces of `piece` bytes, and given back.
static inline char *world_read(struct text *text, size_t piece)
{
    size_t capacity = 1 << 20;
    char *all = malloc(capacity);
    size_t length = 0;
    ssize_t got;
    while ((got = text_read(text, all + length, piece)) > 0) {
        length += (size_t)got;
        if (length + piece >= capacity)
            all = realloc(all, capacity *= 2);
    }
    assert_int_equal(got, 0);
    all[length] = '\0';
    text_free(text);
    return all;
}

static inline bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

#define SUMMARY(tasks)                                                              \
    "# " #tasks " tasks (" #tasks                                                   \
    " threads, 0 coroutines): 0 parked, 0 moved, 0 truncated, 0 unreadable; taken " \
    "2026-01-31T23:59:59.123Z in 1.5ms\n"
