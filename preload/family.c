// A daemon forks, its parent exits, and the child is the server: then the child gets the endpoint,
// at the same address. Told by setsid, which daemons call, and by the parent's end. Other forked
// children have none, unless each is to have its own (TASKPROF_CHILDREN).
//
// In a child nothing is done before its first call that waits: it may be about to execute another
// program, or be one of many workers. No system call is made in a child that never called setsid:
// it may have forbidden itself all but a few.

#include "preload/family.h"

#include "preload/announce.h"
#include "preload/wrap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <taskprof/taskprof.h>

enum {
    ADDRESS_MAX = 128,
    STACK_BYTES = 512 << 10,
    RETRIES = 50, // at an address that a parent has just now given up
};

// Where a process stands since a setsid of the family's.
enum since { NOT_A_DAEMON, LEADER, LEADERS_CHILD };

_Atomic bool family_pending;

static char address[ADDRESS_MAX];
static bool everybody; // every forked child gets its own
// Written at the start, and in a child that has one thread yet; owner again by the one thread that
// inherits. Relaxed: nothing else hangs on it.
static _Atomic pid_t owner; // who has the endpoint
static pid_t self;
static pid_t parent;
static _Atomic enum since since;
static _Atomic bool acts; // one of the threads that look has begun to do something about it

bool family_is_owner(void)
{
    return getpid() == atomic_load_explicit(&owner, memory_order_relaxed);
}

static void in_child(void)
{
    parent = self;
    self = getpid();
    atomic_store_explicit(&acts, false, memory_order_relaxed);
    if (since != NOT_A_DAEMON)
        since = since == LEADER ? LEADERS_CHILD : NOT_A_DAEMON;
    atomic_store_explicit(&family_pending, everybody || since != NOT_A_DAEMON,
                          memory_order_relaxed);
}

void family_begin(const char *where, bool children)
{
    snprintf(address, sizeof(address), "%s", where);
    everybody = children;
    self = getpid();
    atomic_store_explicit(&owner, self, memory_order_relaxed);
    pthread_atfork(NULL, NULL, in_child);
}

static void leads_session(void)
{
    if (!owner || family_is_owner())
        return;
    since = LEADER;
    atomic_store_explicit(&family_pending, true, memory_order_relaxed);
}

WRAPPER pid_t setsid(void)
{
    pid_t session = REAL(setsid)();
    if (session >= 0)
        leads_session();
    return session;
}

WRAPPER int daemon(int keep_folder, int keep_files)
{
    int result = REAL(daemon)(keep_folder, keep_files);
    if (result == 0)
        leads_session();
    return result;
}

static void wait_for_end(pid_t pid)
{
    // A child that gets an endpoint in any case waits only as long as a parent takes to exit.
    int limit_ms = everybody ? 1000 : -1;
    // By the kernel's number: older libraries have no name for it.
    int fd = (int)REAL(syscall)(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
    if (fd < 0)
        return;
    struct pollfd end = {.fd = fd, .events = POLLIN};
    while (REAL(poll)(&end, 1, limit_ms) < 0 && errno == EINTR)
        continue;
    REAL(close)(fd);
}

static int start_at(const char *where)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = where;
    return taskprof_start(&options);
}

static void *inherit(void *unused)
{
    (void)unused;
    if (since != NOT_A_DAEMON) {
        static const struct timespec pause = {.tv_nsec = 20000000};
        wait_for_end(parent);
        wait_for_end(atomic_load_explicit(&owner, memory_order_relaxed));
        int result = start_at(address);
        for (int i = 0; i < RETRIES && !everybody && result == -EADDRINUSE; i++) {
            REAL(nanosleep)(&pause, NULL);
            result = start_at(address);
        }
        // Not announced: it is the address that was, and stderr may be anything by now.
        if (result == 0) {
            since = NOT_A_DAEMON;
            atomic_store_explicit(&owner, self, memory_order_relaxed);
        }
        if (result == 0 || !everybody)
            return NULL;
    }
    char free_port[ADDRESS_MAX];
    snprintf(free_port, sizeof(free_port), "%.*s:0",
             (int)(strrchr(address, ':') ? strrchr(address, ':') - address : 0), address);
    if (start_at(free_port) == 0)
        announce_child();
    return NULL;
}

static void start_thread(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    REAL(pthread_create)(&thread, &attributes, inherit, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void family_look(void)
{
    int saved = errno;
    atomic_store_explicit(&family_pending, false, memory_order_relaxed);
    // Several threads may come here at once.
    if (!atomic_exchange_explicit(&acts, true, memory_order_relaxed))
        start_thread();
    errno = saved;
}
