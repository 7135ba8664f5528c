// taskprof's own file descriptors, in a process that may close all it finds.
//
// A program that becomes a daemon often closes every number up to its limit. It would close the
// endpoint's sockets, and worse: get one of their numbers for a file of its own, which taskprof
// would then close, or accept clients on. So each descriptor is marked while it is open, and the
// preloaded close(2) leaves marked ones alone (taskprof_owns_fd).
//
// Any thread, async-signal-safe; errno is kept where nothing fails. Numbers past OWN_FD_MAX can't
// be marked, and are as good as before.

#pragma once

#include <stdbool.h>

enum { OWN_FD_MAX = 1 << 16 };

// Marks a descriptor that was just opened, and returns it; a negative one is returned as it is.
int own_fd(int fd);

// The same for one that stays open: moved to a high number first, so that the program's own begin
// where they would without taskprof, and a dup2 to a small number of its choice meets none.
int own_fd_high(int fd);

// Gives the calling thread, one of taskprof's own, an empty table of descriptors for itself, as far
// as the kernel can (since Linux 5.9). What it opens then has numbers that the application never
// sees: one that closes 0 and expects to get it from its next open does, whatever is read in the
// background. Such numbers are not marked. To be called once, before the thread opens anything, and
// only by a thread to which no other hands a descriptor.
void own_fd_separate(void);

// Takes the free numbers that programs choose for their own, until own_fd_unblock: what a library
// opens meanwhile lies above them.
enum { OWN_FD_LOW = 64 };
struct own_fd_blocked {
    int fds[OWN_FD_LOW];
    int count;
};
void own_fd_block(struct own_fd_blocked *ret);
void own_fd_unblock(const struct own_fd_blocked *blocked);

// Forgets the mark of a descriptor that somebody else is about to close.
void own_fd_leave(int fd);

// Unmarks and closes.
void own_fd_close(int fd);

bool own_fd_is(int fd);

// For the child of a fork, when it has closed what it inherited.
void own_fd_forget_all(void);
