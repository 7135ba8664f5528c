// The functions behind the wrappers: the next definition of each name, behind this library.

#pragma once

#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

// What programs call instead, where they were compiled with _FORTIFY_SOURCE.
ssize_t __read_chk(int fd, void *into, size_t count, size_t size);
ssize_t __pread_chk(int fd, void *into, size_t count, off_t at, size_t size);
ssize_t __pread64_chk(int fd, void *into, size_t count, off64_t at, size_t size);
ssize_t __recv_chk(int fd, void *into, size_t count, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *into, size_t count, size_t size, int flags,
                       __SOCKADDR_ARG address, socklen_t *length);
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
    X(pthread_create) X(pthread_join) X(pthread_timedjoin_np) X(pthread_clockjoin_np) \
    X(pthread_barrier_wait) \
    X(pthread_rwlock_rdlock) X(pthread_rwlock_tryrdlock) X(pthread_rwlock_timedrdlock) \
    X(pthread_rwlock_clockrdlock) \
    X(pthread_rwlock_wrlock) X(pthread_rwlock_trywrlock) X(pthread_rwlock_timedwrlock) \
    X(pthread_rwlock_clockwrlock) \
    X(sem_wait) X(sem_trywait) X(sem_timedwait) X(sem_clockwait) \
    X(mtx_lock) X(mtx_trylock) X(mtx_timedlock) X(cnd_wait) X(cnd_timedwait) \
    X(thrd_create) X(thrd_join) X(thrd_sleep) \
    X(read) X(__read_chk) X(readv) X(write) X(writev) \
    X(pread) X(pread64) X(__pread_chk) X(__pread64_chk) X(pwrite) X(pwrite64) \
    X(preadv) X(preadv64) X(preadv2) X(preadv64v2) \
    X(pwritev) X(pwritev64) X(pwritev2) X(pwritev64v2) \
    X(recv) X(__recv_chk) X(recvfrom) X(__recvfrom_chk) X(recvmsg) X(recvmmsg) \
    X(send) X(sendto) X(sendmsg) X(sendmmsg) X(accept) X(accept4) X(connect) \
    X(poll) X(__poll_chk) X(ppoll) X(__ppoll_chk) X(select) X(pselect) \
    X(epoll_wait) X(epoll_pwait) \
    X(sleep) X(usleep) X(nanosleep) X(clock_nanosleep) \
    X(close) X(dup2) X(dup3) X(close_range) X(closefrom) \
    X(sigwait) X(sigwaitinfo) X(sigtimedwait) X(sigsuspend) X(pause) \
    X(wait) X(waitpid) X(waitid) X(wait3) X(wait4) \
    X(msgrcv) X(msgsnd) X(semop) X(semtimedop) \
    X(mq_receive) X(mq_timedreceive) X(mq_send) X(mq_timedsend) \
    X(flock) X(fcntl) X(fcntl64) X(lockf) X(lockf64) \
    X(getaddrinfo) X(syscall) \
    X(execve) X(execvpe) X(fexecve) X(execveat) X(setsid) X(daemon) \
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
