// The thread that accepts: it hands each connection to libmicrohttpd's thread, or where that is
// stuck serves it by itself. It never calls malloc.

#pragma once

#include "http/settings.h"

struct front;

// Listens and starts both threads. settings->address gets the port that was really taken.
// 0, or a negative errno: of socket, bind, listen, or -ENOMEM, -EAGAIN.
int front_start(struct http_settings *settings, struct front **ret);

// Ends both threads. *front is NULL from the moment on that its memory is given back.
void front_stop(struct front **front);

// For the child of a fork: closes what it inherited.
void front_forget(struct front *front);
