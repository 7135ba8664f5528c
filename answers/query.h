// Query strings and the values in them. All of it comes from a client.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUERY_MAX = 8192 }; // bytes of a request's target, at most

// The first value of `name` in a query string ("a=1&b=2"), decoded ("+" and %XX) into *into, which
// has `room` bytes. Returns 1 when it is there, 0 when not; -EINVAL when it is badly encoded, holds
// a NUL or does not fit. A name without "=" has the value "".
int query_get(const char *query, const char *name, char *into, size_t room);

// Decodes a path: %XX only. Length, or -EINVAL as above.
int query_decode_path(const char *path, size_t length, char *into, size_t room);

// A decimal number of 0 … max, digits only. false: it is not.
bool query_unsigned(const char *text, uint64_t max, uint64_t *ret);

// A span of time as Go writes them ("250ms", "90s", "1h30m", "1.5h") or in plain seconds, in
// nanoseconds; at most some 292 years. false: it is not.
bool query_duration(const char *text, uint64_t *ret_ns);
