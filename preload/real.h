// The functions behind the wrappers: the next definition of each name, behind this library.

#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// What programs call instead, where they were compiled with _FORTIFY_SOURCE.
ssize_t __read_chk(int fd, void *into, size_t count, size_t size);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size);

// In this order they are looked up: an allocator needs the first ones, and may be asked for memory
// by a look-up that fails.
// clang-format off
#define REAL_FUNCTIONS(X) \
    X(pthread_mutex_lock) X(pthread_mutex_trylock) X(pthread_mutex_timedlock) \
    X(pthread_mutex_clocklock) \
    X(pthread_cond_wait) X(pthread_cond_timedwait) X(pthread_cond_clockwait) \
    X(read) X(__read_chk) X(readv) X(write) X(writev) \
    X(poll) X(__poll_chk) X(ppoll) X(__ppoll_chk) X(select) X(pselect) \
    X(epoll_wait) X(epoll_pwait) \
    X(sleep) X(usleep) X(nanosleep) X(clock_nanosleep) \
    X(close) X(dup2) X(dup3) X(close_range) X(closefrom) \
    X(epoll_pwait2)
// clang-format on

struct real {
#define REAL_FIELD(name) __typeof__(name) *name;
    REAL_FUNCTIONS(REAL_FIELD)
#undef REAL_FIELD
};
extern struct real real;

// Looks up all of them. Any thread, any number of times: each finds the same.
void real_resolve(void);

// Other libraries' constructors, and their allocators, call wrappers before our constructor runs.
// Relaxed: the pointer is all that is read.
#define REAL(name)                                                              \
    (__builtin_expect(__atomic_load_n(&real.name, __ATOMIC_RELAXED) != NULL, 1) \
         ? real.name                                                            \
         : (real_resolve(), real.name))
