// Locks on files.

#include "preload/wrap.h"

#include <stdarg.h>

WRAP_CALL(int, flock, (int fd, int operation), (fd, operation), !(operation & LOCK_NB),
          TASKPROF_SYSCALL, TASKPROF_FD(fd))

WRAP_CALL(int, lockf, (int fd, int command, off_t length), (fd, command, length), command == F_LOCK,
          TASKPROF_SYSCALL, TASKPROF_FD(fd))

WRAP_CALL(int, lockf64, (int fd, int command, off64_t length), (fd, command, length),
          command == F_LOCK, TASKPROF_SYSCALL, TASKPROF_FD(fd))

// Whatever the argument is, if there is one: it fits a pointer, as in the C library's own.
#define WRAP_FCNTL(name)                                              \
    WRAPPER int name(int fd, int command, ...)                        \
    {                                                                 \
        va_list rest;                                                 \
        va_start(rest, command);                                      \
        void *argument = va_arg(rest, void *);                        \
        va_end(rest);                                                 \
        bool blocks = command == F_SETLKW || command == F_OFD_SETLKW; \
        if (!blocks || !WRAP_APPLIES())                               \
            return REAL(name)(fd, command, argument);                 \
        WRAP_PARK_CALL(TASKPROF_SYSCALL, TASKPROF_FD(fd));            \
        return REAL(name)(fd, command, argument);                     \
    }

WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)
