// Which process of those that fork made has the endpoint.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>

// The endpoint was started in this process. `where`: its address and port, for a daemon to go on
// with.
void family_begin(const char *where, bool children);

// Whether this very process has the endpoint: not a child, not even one of vfork.
bool family_is_owner(void);

// A forked child may have to get an endpoint: looked after at its calls that wait. Relaxed: a child
// sees what its own handler wrote.
extern _Atomic bool family_pending;
void family_look(void);

static inline void family_waits(void)
{
    if (__builtin_expect(atomic_load_explicit(&family_pending, memory_order_relaxed), 0))
        family_look();
}
