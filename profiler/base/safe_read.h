// Reads of this process's own memory that may not be there.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Copies up to `length` bytes from `address`. Returns how many could be read (short where the
// mapping ends), or a negative errno: -EFAULT when not even the first byte is there, -EPERM or
// -ENOSYS when a sandbox forbids both ways of asking the kernel (process_vm_readv, then
// /proc/self/mem). Never faults. Any thread; errno is left as it was.
ssize_t safe_read(uintptr_t address, void *into, size_t length);
