#include "tests/unwind_targets/target.h"

#include "profiler/arch/capture.h"
#include "profiler/unwind/unwind.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 2048 };

static struct {
    const struct scenario *scenario;
    int depth;
    uintptr_t high;
} run;

static uintptr_t frames[FRAMES];

__attribute__((noinline)) void target_park(void)
{
    struct arch_regs regs;
    arch_capture(&regs);
    struct unwind_view view = {.low = regs.sp, .high = run.high};
    unsigned end;
    unsigned depth = unwind(&regs, UNWIND_ALL_KNOWN, false, &view, frames, FRAMES, &end);
    printf("thread %d\n", gettid());
    for (unsigned i = 1; i < depth; i++)
        printf("%#lx\n", (unsigned long)frames[i]);
    printf("end %u\n", end);
    fflush(stdout);
    // Blocks until whoever started this program has seen enough.
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static void *thread(void *argument)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    run.high = (uintptr_t)low + size;
    run.scenario->run(run.depth);
    return argument;
}

int target_main(const struct scenario *scenarios, int argc, char **argv)
{
    // A buffer of its own: a signal handler prints, and may not allocate.
    static char buffer[64 * 1024];
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    if (argc != 3)
        return 2;
    for (; scenarios->name && strcmp(scenarios->name, argv[1]) != 0; scenarios++)
        ;
    if (!scenarios->name)
        return 2;
    run.scenario = scenarios;
    run.depth = (int)strtol(argv[2], NULL, 10);
    pthread_t id;
    if (pthread_create(&id, NULL, thread, NULL) != 0)
        return 1;
    pthread_join(id, NULL);
    return 0;
}
