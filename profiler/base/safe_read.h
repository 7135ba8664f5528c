// Reads of this process's own memory that may not be there.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Copies up to `length` bytes from `address`. Returns how many could be read (short where the
// mapping ends), or a negative errno: -EFAULT when not even the first byte is there, -EPERM or
// -ENOSYS when a sandbox forbids both ways of asking the kernel (process_vm_readv, then
// /proc/self/mem). Never faults. Any thread; errno is left as it was. What the caller loads
// afterwards is loaded after this: a seq that has not changed holds for the copy.
ssize_t safe_read(uintptr_t address, void *into, size_t length);

// Copies many stretches of memory, SAFE_READ_PARTS at most, with one system call. Returns how many
// bytes could be read, all of a part before the first of the next, up to the first part that ends
// early; or a negative errno: -EFAULT when nothing of the first part is there, others where
// process_vm_readv is forbidden. Never faults. Any thread; errno is left as it was. Ordered as
// above.
enum { SAFE_READ_PARTS = 64 };
struct safe_read_part {
    uintptr_t address;
    void *into;
    size_t length;
};
ssize_t safe_read_parts(const struct safe_read_part *parts, unsigned count);
