// What has to happen in the child of a fork.

#pragma once

enum { FORK_HOOKS = 16 };

// Calls `hook` in the child of every later fork, in the order of registration, after the tasks of
// the parent's other threads are gone from the registry. The child has one thread then. At most
// FORK_HOOKS; a hook that is registered already is not registered again.
void fork_child_hook(void (*hook)(void));

// Begins to watch for forks. Once, when the library is loaded. `tasks_after_fork` makes the
// parent's other threads go from the registry: called before the hooks, and after what it needs
// itself was repaired.
void fork_watch(void (*tasks_after_fork)(void));
