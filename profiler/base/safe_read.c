#include "profiler/base/safe_read.h"

#include "profiler/base/fence.h"
#include "profiler/base/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Through the calling thread, here and wherever else /proc is read: the process's own number is
// that of its main thread, and one that has left by pthread_exit has no memory, no maps and no
// files. Bare system calls: open, pread and close are cancellation points, and may be wrapped.
static ssize_t read_through_proc(uintptr_t address, void *into, size_t length)
{
    int fd =
        own_fd((int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/mem", O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return -errno;
    ssize_t got = syscall(SYS_pread64, fd, into, length, address);
    int error = errno;
    own_fd_close(fd);
    if (got < 0)
        return error == EIO ? -EFAULT : -error;
    return got;
}

ssize_t safe_read(uintptr_t address, void *into, size_t length)
{
    int saved = errno;
    struct iovec local = {.iov_base = into, .iov_len = length};
    struct iovec remote = {.iov_base = (void *)address, .iov_len = length};
    ssize_t got = process_vm_readv(gettid(), &local, 1, &remote, 1, 0);
    if (got < 0)
        got = errno == EFAULT ? -EFAULT : read_through_proc(address, into, length);
    fence_loads();
    errno = saved;
    return got;
}

ssize_t safe_read_parts(const struct safe_read_part *parts, unsigned count)
{
    int saved = errno;
    struct iovec local[SAFE_READ_PARTS];
    struct iovec remote[SAFE_READ_PARTS];
    if (count > SAFE_READ_PARTS)
        count = SAFE_READ_PARTS;
    for (unsigned i = 0; i < count; i++) {
        local[i] = (struct iovec){.iov_base = parts[i].into, .iov_len = parts[i].length};
        remote[i] =
            (struct iovec){.iov_base = (void *)parts[i].address, .iov_len = parts[i].length};
    }
    ssize_t got = process_vm_readv(gettid(), local, count, remote, count, 0);
    if (got < 0)
        got = -errno;
    fence_loads();
    errno = saved;
    return got;
}
