#include "profiler/snapshot/confirm_wait.h"

#include "profiler/snapshot/proc_thread.h"

#include <errno.h>
#include <sys/syscall.h>

enum { FUTEX_ADDRESS = 0, FUTEX_TIMEOUT = 3 }; // arguments of futex(2)

enum lock_sleep confirm_wait(int directory, pid_t tid, uintptr_t object, size_t size, bool anywhere)
{
    struct proc_syscall call;
    if (directory < 0)
        return SLEEP_NOT_TOLD;
    int result = proc_thread_syscall(directory, tid, &call);
    if (result == -EAGAIN || result == -ESRCH)
        return SLEEP_DENIED;
    if (result < 0)
        return SLEEP_NOT_TOLD;
    // Unsigned: an address below the object is as far off as one behind it.
    if (call.number != SYS_futex ||
        (!anywhere && (uintptr_t)call.arguments[FUTEX_ADDRESS] - object >= size))
        return SLEEP_DENIED;
    return call.arguments[FUTEX_TIMEOUT] ? SLEEP_WITH_TIMEOUT : SLEEP_FOR_EVER;
}
