#include "preload/announce.h"

#include "preload/real.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <taskprof/taskprof.h>

static struct stat first_stderr;

// Not with stdio: its buffers are the application's.
static void say(const char *format, const char *what)
{
    char line[1024];
    int length = snprintf(line, sizeof(line), format, what);
    if (length >= (int)sizeof(line))
        length = sizeof(line) - 1;
    ssize_t written = REAL(write)(STDERR_FILENO, line, (size_t)length);
    (void)written; // nobody is there to be told
}

static void say_address(void)
{
    if (*taskprof_address())
        say("taskprof: http://%s/debug/pprof/\n", taskprof_address());
}

void announce_address(void)
{
    fstat(STDERR_FILENO, &first_stderr);
    say_address();
}

void announce_failure(void)
{
    say("taskprof: %s\n", taskprof_start_error());
}

void announce_child(void)
{
    struct stat now;
    if (fstat(STDERR_FILENO, &now) != 0)
        return;
    bool same = now.st_dev == first_stderr.st_dev && now.st_ino == first_stderr.st_ino;
    if (same || S_ISFIFO(now.st_mode) || S_ISCHR(now.st_mode))
        say_address();
}
