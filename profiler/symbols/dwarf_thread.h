// The one thread that reads DWARF, and its queue.
//
// libdw calls malloc, and some thread of the application may hold malloc's lock for ever: whoever
// wants lines leaves that to this thread and waits only as long as it gets on.

#pragma once

#include "profiler/symbols/symbol_cache.h"

int dwarf_thread_start(void); // 0 or a negative errno
void dwarf_thread_stop(void);

bool dwarf_thread_runs(void);

// Puts an entry that is not final into the queue, unless it is there already, and returns the
// ticket to wait for. Under symbol_cache_lock.
uint64_t dwarf_thread_ask(struct symbol_entry *entry, struct symbol_module *module);

// Waits until the entry of this ticket, and all before it, are final. 0, or -ETIMEDOUT when the
// thread makes no progress; once that was so, at once, until it does. 0 too when it was stopped.
int dwarf_thread_wait(uint64_t ticket);

void dwarf_thread_after_fork(void);
