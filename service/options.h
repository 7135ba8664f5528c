// taskprof_options and the environment, made into settings.

#pragma once

#include "http/settings.h"
#include "service/errors.h"

#include <stdbool.h>
#include <taskprof/taskprof.h>

struct settings {
    bool off; // no endpoint
    struct http_settings http;
    char where[128];     // the address as the user wrote it, for errors
    char channels[4096]; // a file; "": none
    char snapshots[256]; // a folder; "": none
    unsigned snapshots_every_s;
    unsigned snapshots_keep;
    bool warm_up;
};

// Options first, then the environment, then defaults. 0; or -EINVAL and a text in `error` that
// names the option or variable and says what would be right.
int options_read(const struct taskprof_options *options, struct settings *ret,
                 char error[ERRORS_TEXT_MAX]);

// "ADDRESS:PORT", IPv6 in brackets.
enum { OPTIONS_ADDRESS_TEXT = 80 };
void options_address_text(const struct sockaddr_storage *address, char into[OPTIONS_ADDRESS_TEXT]);
