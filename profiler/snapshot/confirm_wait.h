// What the kernel says of a thread that is on record as waiting for a lock: whether it sleeps
// there.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum lock_sleep {
    SLEEP_DENIED,       // it does something else at this moment
    SLEEP_WITH_TIMEOUT, // there, but not for ever
    SLEEP_FOR_EVER,
    SLEEP_NOT_TOLD, // a sandbox hides it
};

// `directory` is /proc/self/task, or a negative errno. The lock is `size` bytes at `object`;
// `anywhere`: its waiters sleep on addresses of libc's and the kernel's own.
enum lock_sleep confirm_wait(int directory, pid_t tid, uintptr_t object, size_t size,
                             bool anywhere);
