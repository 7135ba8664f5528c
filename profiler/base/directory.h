// The names in a directory, by the bare system call: opendir calls malloc, and readdir may be
// wrapped.

#pragma once

#include <stddef.h>

enum { DIRECTORY_BYTES = 8192 }; // of records that are read at once

// On the caller's stack. The descriptor stays the caller's.
struct directory {
    int fd;
    size_t filled; // of `bytes`
    size_t at;     // of the record that is next
    char bytes[DIRECTORY_BYTES] __attribute__((aligned(8)));
};

// From where the descriptor stands.
static inline void directory_begin(struct directory *directory, int fd)
{
    directory->fd = fd;
    directory->filled = directory->at = 0;
}

// 1 and the next name, which is valid until the next call; "." and ".." are among them. 0: there
// are no more. Or a negative errno; -EPROTO: that is no list of records.
int directory_next(struct directory *directory, const char **ret_name);
