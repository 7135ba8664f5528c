// Reading and writing.

#include "preload/wrap.h"

WRAP_CALL(ssize_t, read, (int fd, void *into, size_t count), (fd, into, count), true,
          TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, __read_chk, (int fd, void *into, size_t count, size_t size),
          (fd, into, count, size), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, readv, (int fd, const struct iovec *pieces, int count), (fd, pieces, count),
          true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, write, (int fd, const void *from, size_t count), (fd, from, count), true,
          TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, writev, (int fd, const struct iovec *pieces, int count), (fd, pieces, count),
          true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))
