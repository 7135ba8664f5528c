// taskprof_options and the environment, made into settings.

#pragma once

#include "http/host.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <taskprof/taskprof.h>

struct settings {
    bool off; // no endpoint
    struct sockaddr_storage address;
    socklen_t address_length;
    char where[128]; // as the user wrote it, for errors
    struct host_rule hosts;
    unsigned max_connections;
    unsigned client_timeout_s;
    char channels[4096]; // a file; "": none
    char snapshots[256]; // a folder; "": none
    unsigned snapshots_every_s;
    unsigned snapshots_keep;
    bool warm_up;
};

enum { OPTIONS_ERROR_MAX = 512 };

// Options first, then the environment, then defaults. 0; or -EINVAL and a text in `error` that
// names the option or variable and says what would be right.
int options_read(const struct taskprof_options *options, struct settings *ret,
                 char error[OPTIONS_ERROR_MAX]);

// "ADDRESS:PORT", IPv6 in brackets.
enum { OPTIONS_ADDRESS_TEXT = 80 };
void options_address_text(const struct sockaddr_storage *address, char into[OPTIONS_ADDRESS_TEXT]);
