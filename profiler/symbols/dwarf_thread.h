// The one thread that reads DWARF, and its queue.
//
// libdw calls malloc, and some thread of the application may hold malloc's lock for ever: whoever
// wants lines leaves that to this thread and waits only as long as it gets on.

#pragma once

#include "profiler/symbols/symbol_cache.h"

// `nudge`: see dwarf_thread_nudge. 0 or a negative errno.
int dwarf_thread_start(void (*nudge)(void));
void dwarf_thread_stop(void);

bool dwarf_thread_runs(void);

// Has the thread call `when_nudged` before it answers what is asked from now on. Any thread.
void dwarf_thread_nudge(void);

// Looks for the DWARF of a module, unless that was done. On the DWARF thread alone.
void dwarf_thread_open(struct symbol_module *module);

// Puts an entry that is not final into the queue, unless it is there already, and returns the
// ticket to wait for. Under symbol_cache_lock.
uint64_t dwarf_thread_ask(struct symbol_entry *entry, struct symbol_module *module);

// Nothing is asked any more: who waits goes on. Under symbol_cache_lock.
void dwarf_thread_forget(void);

// Waits until the entry of this ticket, and all before it, are final. 0, or -ETIMEDOUT when the
// thread makes no progress; once that was so, at once, until it does. 0 too when it was stopped, or
// when a turn of the cache made it forget what was asked.
int dwarf_thread_wait(uint64_t ticket);

void dwarf_thread_after_fork(void);
