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

WRAP_CALL(ssize_t, pread, (int fd, void *into, size_t count, off_t at), (fd, into, count, at), true,
          TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pread64, (int fd, void *into, size_t count, off64_t at), (fd, into, count, at),
          true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, __pread_chk, (int fd, void *into, size_t count, off_t at, size_t size),
          (fd, into, count, at, size), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, __pread64_chk, (int fd, void *into, size_t count, off64_t at, size_t size),
          (fd, into, count, at, size), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwrite, (int fd, const void *from, size_t count, off_t at),
          (fd, from, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwrite64, (int fd, const void *from, size_t count, off64_t at),
          (fd, from, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, preadv, (int fd, const struct iovec *pieces, int count, off_t at),
          (fd, pieces, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, preadv64, (int fd, const struct iovec *pieces, int count, off64_t at),
          (fd, pieces, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, preadv2, (int fd, const struct iovec *pieces, int count, off_t at, int flags),
          (fd, pieces, count, at, flags), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, preadv64v2,
          (int fd, const struct iovec *pieces, int count, off64_t at, int flags),
          (fd, pieces, count, at, flags), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwritev, (int fd, const struct iovec *pieces, int count, off_t at),
          (fd, pieces, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwritev64, (int fd, const struct iovec *pieces, int count, off64_t at),
          (fd, pieces, count, at), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwritev2, (int fd, const struct iovec *pieces, int count, off_t at, int flags),
          (fd, pieces, count, at, flags), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, pwritev64v2,
          (int fd, const struct iovec *pieces, int count, off64_t at, int flags),
          (fd, pieces, count, at, flags), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))
