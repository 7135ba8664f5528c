// LD_PRELOAD and the TASKPROF_ variables: what children see of them, and what an executed program
// gets that takes this process's place.

#pragma once

#include <stdbool.h>

// Whether programs that this one executes get an endpoint, too (TASKPROF_CHILDREN).
bool environment_children(void);

// Called once, before main. Takes this library out of LD_PRELOAD, so that children run without it;
// unless they are to have it.
void environment_take(void);

// Whether this process was executed by one that has an endpoint, and is to have another one.
bool environment_is_child(void);

// The variables for a program that takes the place of a process with an endpoint: `given`, with
// this library and what it was told. `given` itself when there is nothing to add or no memory; else
// it is to be returned to environment_free if the program could not be executed.
char **environment_complete(char *const *given);
void environment_free(char **environment, char *const *given);
