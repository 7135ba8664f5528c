// A request and its answer, whatever carries them: libmicrohttpd, the rescue responder, or
// taskprof_write.

#pragma once

#include "profiler/base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct host_rule;
struct snapshot;

struct request {
    const char *method;
    const char *target; // as on the request line: path and query, nothing decoded
    const char *host;   // the Host header; NULL: there was none
    bool http_1_0;      // in which Host need not be there
    const void *body;
    size_t body_length;
    const struct host_rule *hosts; // NULL: no check
};

// What an answer's bytes come from. The bytes of `text` first (static, or NULL), then those of
// `buffer`, then what `read` gives.
struct body {
    const char *text;
    struct buffer buffer;
    size_t at; // read so far of text and buffer
    // The next bytes: how many, 0 at the end, or a negative errno. NULL: nothing more.
    ssize_t (*read)(void *context, char *into, size_t room);
    void (*free)(void *context);
    void *context;
};

struct reply {
    unsigned status;
    const char *type;     // Content-Type
    const char *filename; // Content-Disposition: attachment; NULL: none
    const char *location; // of a redirect
    const char *allow;    // of a 405
    bool error;           // X-Go-Pprof: 1, without which `go tool pprof` hides the text
    bool sized;           // the body is all in `text` and `buffer`: its length is known
    struct body body;

    // Instead of all of the above: `before` was taken, and the answer is to be had from
    // routes_answer_later when `wait_s` seconds are over.
    unsigned wait_s; // 0: the answer is here
    struct snapshot *before;
};

// The next bytes of a body: how many, 0 at the end, or a negative errno.
ssize_t body_read(struct body *body, char *into, size_t room);

// The length of a sized body.
size_t body_length(const struct body *body);

// Gives back all that a reply holds, an unanswered one's snapshot too. Leaves it zeroed.
void reply_release(struct reply *reply);

// Makes *reply an error: its text is the format's, and a newline. What *reply held is released.
void reply_error(struct reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// "Not Found" for 404, and so on; "Error" for a status that is never sent here. Static.
const char *reply_status_text(unsigned status);

// The header lines that every transport sends with a reply, in turn from *at = 0 on: name and
// value, false when there are no more. `value` points into `room` or is static.
enum { REPLY_HEADER_ROOM = 128 };
bool reply_header(const struct reply *reply, unsigned *at, const char **ret_name,
                  const char **ret_value, char room[REPLY_HEADER_ROOM]);
