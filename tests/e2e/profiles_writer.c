// Leaks tasks in known places and writes every profile into a directory: what profiles.bats reads.
//
//     profiles_writer DIRECTORY

#include "profiler/symbols/symbols.h"
#include "proto/pprof.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

enum { SENDERS = 5, RECEIVERS = 3, WAITERS = 2, MORE_SENDERS = 4 };

#define NEVER_INLINED __attribute__((noinline, noipa))

static taskprof_chan *orders;  // named, unbuffered, never received from
static taskprof_chan *refunds; // unnamed, buffered, never sent to
static int condition;

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    perror(what);
    exit(1);
}

NEVER_INLINED static void *send_order(void *argument)
{
    taskprof_chan_send(orders, &argument); // LINE send_order
    return argument;
}

NEVER_INLINED static void *wait_for_refund(void *argument)
{
    taskprof_chan_receive(refunds, &argument, NULL); // LINE wait_for_refund
    return argument;
}

NEVER_INLINED static void *wait_for_condition(void *argument)
{
    taskprof_park(TASKPROF_COND_WAIT, &condition); // LINE wait_for_condition
    pause();
    taskprof_unpark();
    return argument;
}

NEVER_INLINED static void start(unsigned count, void *(*function)(void *))
{
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;
        check(taskprof_pthread_create(&thread, NULL, function, NULL) == 0, "thread");
    }
}

NEVER_INLINED static void open_shop(void)
{
    start(SENDERS, send_order);
    start(RECEIVERS, wait_for_refund);
    start(WAITERS, wait_for_condition);
}

// A snapshot in which so many tasks are parked and nothing else moves.
static struct snapshot *snapshot_of(unsigned parked)
{
    for (int tries = 0; tries < 60000; tries++) {
        struct snapshot *snapshot;
        check(snapshot_take(SNAPSHOT_TASKS, 0, &snapshot) == 0, "snapshot");
        if (snapshot->parked == parked && snapshot->moved == 0)
            return snapshot;
        snapshot_free(snapshot);
        usleep(1000);
    }
    check(false, "tasks that should be parked are not");
    return NULL;
}

static void write_profile(const char *directory, const char *name, int made,
                          struct pprof_stream *stream)
{
    char path[4096];
    char room[8192];
    check(made == 0, name);
    snprintf(path, sizeof(path), "%s/%s.pb.gz", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    check(fd >= 0, path);
    ssize_t got;
    while ((got = pprof_read(stream, room, sizeof(room))) > 0)
        check(write(fd, room, (size_t)got) == got, path);
    check(got == 0, name);
    pprof_free(stream);
    close(fd);
}

int main(int argc, char **argv)
{
    check(argc == 2, "usage: profiles_writer DIRECTORY");
    check(symbols_start() == 0, "symbols");
    check(taskprof_chan_make(sizeof(void *), 0, "orders", &orders) == 0, "orders");
    check(taskprof_chan_make(sizeof(void *), 8, NULL, &refunds) == 0, "refunds"); // LINE refunds
    open_shop();
    struct snapshot *before = snapshot_of(SENDERS + RECEIVERS + WAITERS);
    start(MORE_SENDERS, send_order);
    struct snapshot *now = snapshot_of(SENDERS + RECEIVERS + WAITERS + MORE_SENDERS);

    struct pprof_stream *stream = NULL;
    int made = pprof_goroutine(before, NULL, &stream);
    write_profile(argv[1], "before", made, stream);
    made = pprof_goroutine(now, NULL, &stream);
    write_profile(argv[1], "goroutine", made, stream);
    made = pprof_goroutine(now, before, &stream);
    write_profile(argv[1], "delta", made, stream);
    made = pprof_tasks(now, &stream);
    write_profile(argv[1], "tasks", made, stream);
    made = pprof_channel(now, &stream);
    write_profile(argv[1], "channel", made, stream);
    made = pprof_threadcreate(now, &stream);
    write_profile(argv[1], "threadcreate", made, stream);
    _exit(0); // the leaked threads go with it
}
