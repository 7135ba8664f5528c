// Which Host headers are answered. A web page that somebody in the office opens may make a browser
// send requests to 127.0.0.1 under the page's own name (DNS rebinding): such names are refused.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { HOST_NAMES_MAX = 1024, HOST_ADDRESS_MAX = 64 };

struct host_rule {
    // The address listened on, without port and brackets; "" when it is a wildcard.
    char address[HOST_ADDRESS_MAX];
    bool wildcard;              // listens on all addresses
    char names[HOST_NAMES_MAX]; // more names, separated by commas; "*": all
};

// Whether a request with this Host header is answered. Any port is good: it may be forwarded.
bool host_allowed(const struct host_rule *rule, const char *host);

// Whether a list of names is one: letters, digits, "-", ".", "_", ":" and brackets, commas between.
bool host_names_valid(const char *names);
