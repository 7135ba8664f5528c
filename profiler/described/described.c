#include "profiler/described/described.h"

#include "profiler/base/clock.h"
#include "profiler/base/epoch.h"
#include "profiler/base/lock.h"
#include "profiler/base/memory.h"
#include "profiler/base/own_fd.h"
#include "profiler/described/evidence.h"
#include "profiler/described/glib.h"
#include "profiler/described/instances.h"
#include "profiler/described/problems.h"
#include "profiler/tasks/fork.h"
#include "profiler/tasks/own_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20 };
static const uint64_t STOP_PATIENCE_NS = 2000000000;

// Serialises start and stop. Guards `thread` and `joinable`.
static struct lock control = LOCK_INIT;
static pthread_t thread;
static bool joinable;

static _Atomic bool stopping; // release; acquired by the thread
static _Atomic uint32_t left; // a futex: the thread has left

// Whether something is wrong with it.
static bool parse_line(struct described_file *types, const char *text, size_t length, unsigned line)
{
    struct description description;
    char problem[PROBLEM_MAX];
    enum description_result result = description_parse(text, length, line, &description, problem);
    if (result == DESCRIPTION_READ && types->count == DESCRIPTIONS_MAX) {
        snprintf(problem, sizeof(problem), "more than %d types; this one is left out",
                 DESCRIPTIONS_MAX);
        result = DESCRIPTION_BAD;
    }
    if (result == DESCRIPTION_BAD)
        problems_add(PROBLEM_LINE, line, problem);
    else if (result == DESCRIPTION_READ)
        types->types[types->count++] = (struct described_type){.description = description};
    return result == DESCRIPTION_BAD;
}

static void parse(struct described_file *types, const char *text, size_t length)
{
    unsigned line = 1;
    bool problems = false;
    for (size_t at = 0; text && at < length; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t width = end ? (size_t)(end - text) - at : length - at;
        problems |= parse_line(types, text + at, width, line);
        at += width + 1;
    }
    if (!types->count && !problems)
        problems_add(PROBLEM_LINE, 0,
                     "describes nothing: a line would be like: chan_t len=size cap=capacity "
                     "recv=not_empty send=not_full");
}

// Of a file that is none (a pipe, a device) nothing is read: it could block the program's start.
static void read_file(struct described_file *types, const char *path)
{
    char why[PROBLEM_MAX];
    struct stat status;
    int fd = own_fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    char *text = fd < 0 ? NULL : memory_map(FILE_BYTES_MAX);
    const char *problem = NULL;
    if (fd < 0 || fstat(fd, &status) != 0)
        problem = strerrordesc_np(errno);
    else if (!S_ISREG(status.st_mode))
        problem = "not a file";
    else if (status.st_size > FILE_BYTES_MAX)
        problem = "larger than 1 MiB";
    else if (!text)
        problem = strerrordesc_np(ENOMEM);
    size_t length = 0;
    while (!problem && length < FILE_BYTES_MAX) {
        ssize_t got = read(fd, text + length, FILE_BYTES_MAX - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            problem = strerrordesc_np(errno);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (fd >= 0)
        own_fd_close(fd);
    if (problem) {
        snprintf(why, sizeof(why), "can't be read: %s", problem);
        problems_add(PROBLEM_LINE, 0, why);
    } else {
        parse(types, text, length);
    }
    memory_unmap(text, FILE_BYTES_MAX);
}

static bool all_fit(const struct described_file *types)
{
    for (size_t i = 0; i < types->count; i++)
        if (!types->types[i].fits)
            return false;
    return true;
}

// The program's own types first; libraries only while something is still to be found.
static void learn(struct described_file *types)
{
    size_t count = binaries_refresh();
    for (size_t i = 0; i < count && !all_fit(types); i++) {
        if (atomic_load_explicit(&stopping, memory_order_acquire))
            return;
        binary_open(binaries_at(i), types);
    }
}

static void describe_misfit(const struct described_type *type, bool any_dwarf, char *into)
{
    char likely[NEAR_TEXT_MAX];
    if (type->problem[0])
        snprintf(into, PROBLEM_MAX, "%s", type->problem);
    else if (any_dwarf)
        snprintf(into, PROBLEM_MAX,
                 "%s: no type of this name in the program or its libraries%.200s",
                 type->description.type, near_text(&type->near, likely));
    else
        snprintf(into, PROBLEM_MAX,
                 "%s: neither the program nor its libraries have debug information (DWARF): build "
                 "with -g, or install its debug symbols",
                 type->description.type);
}

static void publish(const struct described_file *types)
{
    bool any_dwarf = false;
    const struct binary *binary;
    for (size_t i = 0; (binary = binaries_at(i)) != NULL; i++)
        any_dwarf |= binary->image.dwarf != NULL;
    problems_forget(PROBLEM_MISFIT);
    for (size_t i = 0; i < types->count; i++) {
        char text[PROBLEM_MAX];
        if (types->types[i].fits)
            continue;
        describe_misfit(&types->types[i], any_dwarf, text);
        problems_add(PROBLEM_MISFIT, types->types[i].description.line, text);
    }
    problems_reading(false);
}

// The next question; false: there is none.
static bool take(struct question *ret)
{
    struct epoch_hold hold = {0};
    epoch_hold(&hold); // on its stack, before it is taken
    bool any = inquiry_next(&ret->inquiry);
    if (any) {
        const struct stack *stack = stack_get(ret->inquiry.stack);
        ret->depth = stack->depth < EVIDENCE_FRAMES ? stack->depth : EVIDENCE_FRAMES;
        memcpy(ret->frames, stack->frames, ret->depth * sizeof(stack->frames[0]));
    }
    epoch_release(&hold);
    return any;
}

static void answer(struct described_file *types, const struct question *question)
{
    struct evidence evidence = {0};
    struct inquiry_answer answer = {0};
    enum evidence_result result = glib_find(question, &evidence);
    if (result == EVIDENCE_NO && types->count)
        result = evidence_find(types, question, &evidence);
    bool yes = result == EVIDENCE_YES && instances_get(evidence.layout, evidence.base,
                                                       &answer.channel_slot, &answer.channel_id);
    answer.side = evidence.side;
    inquiry_settle(&question->inquiry, yes ? &answer : NULL, result == EVIDENCE_LATER);
}

// Code may have been loaded since the last time, or unloaded.
static void look_at_maps(void)
{
    maps_refresh();
    if (binaries_prune()) // first: they may be in the way of new ones
        evidence_forget();
    binaries_refresh();
}

static void *run(void *argument)
{
    struct described_file *types = argument;
    // As the thread that reads DWARF: no application's processor, and none of its numbers.
    own_thread_be_modest();
    own_fd_separate();
    learn(types);
    publish(types);
    for (;;) {
        uint32_t turn = inquiry_turn();
        // Acquire: pairs with described_stop, which changes the turn after this.
        if (atomic_load_explicit(&stopping, memory_order_acquire))
            break;
        struct question question;
        bool any = take(&question);
        if (any)
            look_at_maps();
        for (; any && !atomic_load_explicit(&stopping, memory_order_acquire); any = take(&question))
            answer(types, &question);
        publish(types);
        inquiry_sleep(turn);
    }
    evidence_forget();
    binaries_close();
    atomic_store_explicit(&left, 1, memory_order_release);
    futex_wake(&left, 1);
    return NULL;
}

// Waits as long as a caller would, and no longer: the thread may be stuck in malloc.
static bool wait_until_left(void)
{
    uint64_t deadline = clock_monotonic_ns() + STOP_PATIENCE_NS;
    uint64_t now;
    while (!atomic_load_explicit(&left, memory_order_acquire) &&
           (now = clock_monotonic_ns()) < deadline)
        futex_wait(&left, 0, (int64_t)(deadline - now));
    return atomic_load_explicit(&left, memory_order_acquire);
}

// Whether there is no thread any more.
static bool join(void)
{
    if (joinable && wait_until_left()) {
        pthread_join(thread, NULL);
        joinable = false;
        instances_end_all();
    }
    return !joinable;
}

static int start_locked(const char *path, bool has_glib)
{
    // Kept for ever: a channel may be read by its description at any time.
    struct described_file *types = memory_map(sizeof(*types));
    int error = types ? problems_begin(path ? path : "") : -ENOMEM;
    if (error)
        return error;
    if (!join()) {
        problems_add(PROBLEM_LINE, 0, "can't be used: the thread of the last start is stuck");
        return 0;
    }
    if (path && *path)
        read_file(types, path);
    if (!types->count && !has_glib) {
        memory_unmap(types, sizeof(*types));
        return 0;
    }
    problems_reading(types->count != 0);
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    atomic_store_explicit(&left, 0, memory_order_relaxed);
    inquiry_open(instances_sweep);
    error = own_thread_start(&thread, "taskprof-types", run, types);
    joinable = error == 0;
    if (error)
        inquiry_close();
    return error;
}

int described_start(const char *path)
{
    int saved = errno;
    int result = 0;
    fork_child_hook(described_after_fork);
    lock_acquire(&control);
    bool has_glib = glib_is_loaded();
    if ((path && *path) || has_glib)
        result = start_locked(path, has_glib);
    lock_release(&control);
    errno = saved;
    return result;
}

void described_stop(void)
{
    int saved = errno;
    lock_acquire(&control);
    if (joinable) {
        inquiry_close();
        atomic_store_explicit(&stopping, true, memory_order_release);
        inquiry_wake();
        join();
    }
    problems_end();
    lock_release(&control);
    errno = saved;
}

void described_after_fork(void)
{
    lock_reset(&control);
    joinable = false;
    problems_after_fork();
    binaries_after_fork();
    inquiry_after_fork();
    instances_after_fork();
}
