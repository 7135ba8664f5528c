// What code is mapped where: /proc/self/maps, read without malloc and without the loader's locks.

#pragma once

#include "profiler/base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUILD_ID_MAX = 64 };

// A file's executable mapping. Immutable once made.
struct mapping {
    uintptr_t start;
    uintptr_t limit; // first address behind it
    uint64_t offset; // of `start` in the file
    uintptr_t bias;  // what to add to the file's own addresses (p_vaddr) for those in memory
    uint64_t device;
    uint64_t inode;
    const char *path; // "" when anonymous; "[vdso]" and the like as the kernel has them; without
                      // the kernel's " (deleted)"
    bool deleted;
    unsigned build_id_length; // 0: none
    unsigned char build_id[BUILD_ID_MAX];
};

// Reads the mappings afresh. Cheap calls in between: only when a snapshot met new code.
// 0 or a negative errno (-EACCES where a sandbox hides /proc; the old picture then stays).
int maps_refresh(void);

// The executable mapping that holds `address`: a copy of it into *ret. false if there is none.
// `ret->path` is valid as long as the caller's section or hold (base/epoch.h), as are those below.
// Any thread.
bool maps_find(uintptr_t address, struct mapping *ret);

// All executable mappings, sorted by address, copied into the arena; the main binary's first one is
// at *ret_main. Their number, or a negative errno.
int maps_list(struct arena *arena, struct mapping **ret_mappings, unsigned *ret_main);

void maps_after_fork(void);
