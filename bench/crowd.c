#include "bench/crowd.h"

#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <taskprof/taskprof.h>
#include <ucontext.h>

enum {
    STACK = 8192,
    TOUCHED = 4096, // of each, at its top: all that a parked coroutine uses
};

struct member {
    taskprof_task *task;
    ucontext_t *context; // on the member's own stack, where it waits
};

struct crowd {
    char *stacks;
    struct member *members;
    size_t count;
    size_t distinct;
};

static ucontext_t outside;
static taskprof_chan *channel;
static struct member *starting; // handed to level1, for makecontext passes integers alone
static unsigned starting_path;

// noipa: each stays a function of its own, under its own name. The statement behind each call keeps
// it from being a jump, and calls of different flavours from being merged.
#define CALL(flavour, next)  \
    next(member, path >> 2); \
    __asm__ volatile("nopl " flavour "(%%rax)" ::: "memory")

#define LEVEL(name, next)                                                         \
    static __attribute__((noipa)) void name(struct member *member, unsigned path) \
    {                                                                             \
        switch (path & 3) {                                                       \
        case 0:                                                                   \
            CALL("1", next);                                                      \
            break;                                                                \
        case 1:                                                                   \
            CALL("2", next);                                                      \
            break;                                                                \
        case 2:                                                                   \
            CALL("3", next);                                                      \
            break;                                                                \
        default:                                                                  \
            CALL("4", next);                                                      \
            break;                                                                \
        }                                                                         \
    }

static __attribute__((noipa)) void level7(struct member *member, unsigned path)
{
    (void)path;
    ucontext_t here;
    member->context = &here;
    for (;;) {
        taskprof_task_park(member->task, TASKPROF_CHAN_RECEIVE, channel);
        swapcontext(&here, &outside);
        taskprof_task_unpark(member->task);
    }
}

LEVEL(level6, level7)
LEVEL(level5, level6)
LEVEL(level4, level5)
LEVEL(level3, level4)
LEVEL(level2, level3)

static __attribute__((noipa)) void level1(void)
{
    level2(starting, starting_path);
    __asm__ volatile("" ::: "memory");
}

struct crowd *crowd_map(size_t count, size_t distinct)
{
    if (distinct > CROWD_DISTINCT_MAX || distinct > count)
        bench_fail("%zu distinct stacks of %zu can't be had", distinct, count);
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    // One mapping: a million of them are more than the kernel allows.
    char *stacks = mmap(NULL, count * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct member *members = crowd ? malloc(count * sizeof(*members)) : NULL;
    if (!members || stacks == MAP_FAILED)
        bench_fail("no memory for %zu stacks: %s", count, strerror(errno));
    madvise(stacks, count * STACK, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < count; i++)
        stacks[(i + 1) * STACK - 1] = 1;
    memset(members, 0xff, count * sizeof(*members));
    *crowd = (struct crowd){stacks, members, count, distinct};
    if (taskprof_chan_make(sizeof(int), 0, "jobs", &channel) < 0)
        bench_fail("no memory for a channel");
    return crowd;
}

void crowd_park(struct crowd *crowd)
{
    ucontext_t first;
    getcontext(&first);
    for (size_t i = 0; i < crowd->count; i++) {
        char *stack = crowd->stacks + i * STACK;
        struct taskprof_coroutine description = {
            .size = sizeof(description), .stack_low = stack, .stack_size = STACK};
        starting = &crowd->members[i];
        starting_path = (unsigned)(i % crowd->distinct);
        if (taskprof_coroutine_begin(&description, &starting->task) < 0)
            bench_fail("coroutine %zu could not be registered", i);
        first.uc_stack.ss_sp = stack;
        first.uc_stack.ss_size = STACK;
        first.uc_link = NULL;
        makecontext(&first, level1, 0);
        swapcontext(&outside, &first);
        // What a swapcontext needs below its caller's frame is far less than this.
        if ((char *)starting->context < stack + STACK - TOUCHED + 512)
            bench_fail("a coroutine uses more of its stack than was touched");
    }
}

void crowd_change(struct crowd *crowd, size_t count)
{
    for (size_t i = 0; i < count && i < crowd->count; i++)
        swapcontext(&outside, crowd->members[i].context);
}
