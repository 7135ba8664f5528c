// The thread that reads DWARF, with what it is to look up by itself: its start and its stop.

#include "profiler/symbols/dwarf_thread.h"
#include "profiler/symbols/symbols.h"
#include "profiler/symbols/warm_up.h"
#include "profiler/tasks/fork.h"

#include <errno.h>

int symbols_start(void)
{
    int saved = errno;
    fork_child_hook(symbols_after_fork);
    int error = dwarf_thread_start(warm_up_run);
    errno = saved;
    return error;
}

void symbols_stop(void)
{
    int saved = errno;
    dwarf_thread_stop();
    warm_up_forget();
    errno = saved;
}
