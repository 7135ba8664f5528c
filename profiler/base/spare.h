// Small regions of memory that were given back, kept for the next one who wants as much.
//
// Unmapping touched pages, and writing to one that was only read so far, makes the kernel interrupt
// every processor that runs a thread of this process: they must forget where the page was. A
// snapshot that maps and unmaps a hundred small tables would halt each of the application's running
// threads a hundred times, for some microseconds (on virtual machines: tens).
//
// Any thread, and signal handlers: lock-free.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    SPARE_PAGE = 4096,
    SPARE_BYTES_MAX = 256 * 1024, // larger regions are not kept
    SPARES = 32,                  // nor more than so many,
    SPARE_PAGES_ALL = 512,        // nor more pages in all
};

// A region of just so many pages as `bytes` needs, zeroed; the caller's from now on. NULL: none.
void *spare_take(size_t bytes);

// Takes a region over. false: there is no room, and it stays the caller's.
bool spare_keep(void *pages, size_t bytes);

// One that is to be unmapped to make room, and its size. NULL: none. In turn, so that sizes which
// nobody asks for again don't stay.
void *spare_evict(size_t *ret_bytes);

// In the child of a fork: other threads of the parent may have been in the midst of the above.
void spare_after_fork(void);
