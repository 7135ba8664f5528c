// /proc/self/maps, line by line: no stdio, no malloc, no cancellation point.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proc_map {
    uintptr_t start;
    uintptr_t limit;
    uint64_t offset;
    uint64_t device;
    uint64_t inode;
    bool readable;
    bool executable;
    bool deleted;
    const char *path; // "" when there is none; octal escapes decoded; valid during the call only
};

// Calls `each` for every line, in the order of addresses, until it returns false.
// 0, or a negative errno. errno is kept.
int proc_maps_each(bool (*each)(void *context, const struct proc_map *map), void *context);

// Parses one line, without its newline and ended by a NUL; `line` is changed (the path is decoded
// in place). false: it is no such line.
bool proc_maps_parse(char *line, size_t length, struct proc_map *ret);
