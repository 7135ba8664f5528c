#include "profiler/base/directory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// What getdents64 fills in; from getdents(2).
struct record {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

int directory_next(struct directory *directory, const char **ret_name)
{
    if (directory->at >= directory->filled) {
        long got =
            syscall(SYS_getdents64, directory->fd, directory->bytes, sizeof(directory->bytes));
        if (got <= 0)
            return got < 0 ? -errno : 0;
        directory->filled = (size_t)got;
        directory->at = 0;
    }
    size_t left = directory->filled - directory->at;
    const struct record *record = (const void *)(directory->bytes + directory->at);
    // A file system in user space, or a wrapper of the system call, may answer anything: the walk
    // ends, and stays within what was read.
    size_t head = offsetof(struct record, name);
    if (left <= head || record->length <= head || record->length > left ||
        record->length % _Alignof(struct record) ||
        !memchr(record->name, '\0', record->length - head))
        return -EPROTO;
    directory->at += record->length;
    *ret_name = record->name;
    return 1;
}
