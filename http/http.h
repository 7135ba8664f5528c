// The endpoint as a whole; its public side is <taskprof/taskprof.h>.

#pragma once

// In the child of a fork: closes the sockets that it inherited and forgets the threads, which it
// has not. taskprof_start then works anew.
void http_after_fork(void);
