// libmicrohttpd on a thread of its own, which serves the connections that it is offered.
//
// It allocates with the application's malloc. Where that is stuck for ever, so is this thread, and
// whoever offers a connection learns it in time to serve it in another way (rescue.h).

#pragma once

#include "http/settings.h"

#include <sys/socket.h>

struct mhd;

// 0; -ENOMEM, or -EAGAIN when there can be no thread.
int mhd_start(const struct http_settings *settings, struct mhd **ret);

enum mhd_answer {
    MHD_TAKEN,      // the connection is its own now
    MHD_FULL,       // as many as are allowed are open
    MHD_SHARE_HELD, // as many as are allowed from this address, see seats.h
    MHD_STUCK,      // it gave no sign of life
};

// Offers a connection and waits until it is taken, or for a sign of life, a second at most; longer
// while its thread is at work on an answer. It doesn't wait again while it is known to be stuck.
// Only one thread may offer.
enum mhd_answer mhd_offer(struct mhd *mhd, int fd, const struct sockaddr *address,
                          socklen_t length);

// Tells the thread to end: it takes no offer any more.
void mhd_stop_begin(struct mhd *mhd);

// Ends the thread and closes its connections. A stuck thread is left behind: it ends, and its
// memory goes, when it comes to itself.
// *mhd is NULL from the moment on that its memory is given back.
void mhd_stop(struct mhd **mhd);

// For the child of a fork, which has no such thread: closes what the child inherited.
void mhd_forget(struct mhd *mhd);
