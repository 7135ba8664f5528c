// libmicrohttpd's own descriptors, marked as taskprof's: its epoll and what wakes it.

#pragma once

#include <microhttpd.h>

// Right behind MHD_start_daemon, while no connection is there.
void mhd_fds_mark(struct MHD_Daemon *daemon);

// Right before MHD_stop_daemon, which closes them.
void mhd_fds_leave(struct MHD_Daemon *daemon);

// In the child of a fork, where nobody stops the daemon.
void mhd_fds_close(struct MHD_Daemon *daemon);
