// Stacks of a C program.

#include "tests/unwind_targets/target.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int sink;

// Work behind the call: no compiler may turn it into a jump.
#define AFTER() (sink++)

__attribute__((noinline)) static void third(int depth)
{
    char text[200];
    snprintf(text, sizeof(text), "%d", depth);
    target_park();
    sink += text[0];
}

__attribute__((noinline)) static void second(int a, int b, int c, int d)
{
    third(a + b * c - d);
    sink = a + b + c + d;
}

static void nested(int depth)
{
    second(depth, 2, 3, 4);
    AFTER();
}

__attribute__((noinline)) static void recurse(int left)
{
    if (left == 0)
        target_park();
    else
        recurse(left - 1);
    AFTER();
}

static int parked;

static int compare(const void *a, const void *b)
{
    if (!parked++)
        target_park();
    return *(const int *)a - *(const int *)b;
}

static void through_qsort(int depth)
{
    int numbers[] = {3, depth, 1, 7, 5, 2};
    qsort(numbers, sizeof(numbers) / sizeof(numbers[0]), sizeof(numbers[0]), compare);
    sink += numbers[0];
}

static void handler(int signal)
{
    sink += signal;
    target_park();
    // The instruction at fault would be tried again.
    if (signal == SIGILL)
        _exit(0);
    AFTER();
}

static void under_signal(int depth)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    sink += depth;
}

// Interrupted at an instruction that calls nothing.
static void under_fault(int depth)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGILL, &action, NULL);
    sink += depth;
    __builtin_trap();
}

__attribute__((noinline)) static void fill(char *bytes, size_t length)
{
    memset(bytes, 1, length);
}

// A stack that is aligned at run time: the CFA is an expression.
__attribute__((noinline)) static void aligned(int depth)
{
    __attribute__((aligned(128))) char room[512];
    fill(room, sizeof(room));
    recurse(depth);
    sink += room[depth];
}

// A frame of more than 64 KiB.
__attribute__((noinline)) static void large(int depth)
{
    char room[100000];
    fill(room, sizeof(room));
    recurse(depth);
    sink += room[depth];
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"nested", nested},       {"recursion", recurse}, {"qsort", through_qsort},
        {"signal", under_signal}, {"fault", under_fault}, {"aligned", aligned},
        {"large", large},         {NULL, NULL},
    };
    return target_main(scenarios, argc, argv);
}
