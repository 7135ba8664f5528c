// Sockets, and the resolver.

#include "preload/wrap.h"

WRAP_WAIT(ssize_t, recv, (int fd, void *into, size_t count, int flags), (fd, into, count, flags),
          !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, __recv_chk, (int fd, void *into, size_t count, size_t size, int flags),
          (fd, into, count, size, flags), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT,
          TASKPROF_FD(fd))

WRAP_WAIT(ssize_t, recvfrom,
          (int fd, void *into, size_t count, int flags, __SOCKADDR_ARG address, socklen_t *length),
          (fd, into, count, flags, address, length), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT,
          TASKPROF_FD(fd))

WRAP_CALL(ssize_t, __recvfrom_chk,
          (int fd, void *into, size_t count, size_t size, int flags, __SOCKADDR_ARG address,
           socklen_t *length),
          (fd, into, count, size, flags, address, length), !(flags & MSG_DONTWAIT),
          TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags),
          !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(int, recvmmsg,
          (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
          (fd, messages, count, flags, timeout), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT,
          TASKPROF_FD(fd))

WRAP_CALL(ssize_t, send, (int fd, const void *from, size_t count, int flags),
          (fd, from, count, flags), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, sendto,
          (int fd, const void *from, size_t count, int flags, __CONST_SOCKADDR_ARG address,
           socklen_t length),
          (fd, from, count, flags, address, length), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT,
          TASKPROF_FD(fd))

WRAP_CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
          !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),
          (fd, messages, count, flags), !(flags & MSG_DONTWAIT), TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(int, accept, (int fd, __SOCKADDR_ARG address, socklen_t *length), (fd, address, length),
          true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_WAIT(int, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *length, int flags),
          (fd, address, length, flags), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(int, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t length),
          (fd, address, length), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

// Its own system calls are made inside the C library, where no wrapper is.
WRAP_CALL(int, getaddrinfo,
          (const char *name, const char *service, const struct addrinfo *hints,
           struct addrinfo **ret),
          (name, service, hints, ret), true, TASKPROF_IO_WAIT, NULL)
