// What the endpoint is to be like.

#pragma once

#include "answers/host.h"

#include <sys/socket.h>

struct http_settings {
    struct sockaddr_storage address;
    socklen_t address_length;
    struct host_rule hosts;
    unsigned max_connections;
    unsigned client_timeout_s;
};
