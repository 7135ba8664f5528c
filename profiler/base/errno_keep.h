// errno, across calls that may go on on another thread.
//
// glibc tells compilers that errno's address never changes within a function, so they look it up
// once. A coroutine that is suspended on one thread and resumed on another would then write to the
// first one's. Out of line, the address is looked up at each call.

#pragma once

int errno_get(void);
void errno_set(int value);
