// A connection of libmicrohttpd's, and the request that is on it: its callbacks, all on its thread.

#pragma once

#include "answers/exchange.h"
#include "answers/query.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Signs of life, the thread's to write. Relaxed: they are only compared.
struct mhd_life {
    _Atomic uint64_t beats;
    _Atomic bool at_work; // in our own code, which never waits for malloc
};

static inline void mhd_beat(struct mhd_life *life)
{
    atomic_fetch_add_explicit(&life->beats, 1, memory_order_relaxed);
}

enum mhd_phase {
    MHD_PHASE_HEAD,     // the head of a request is awaited, or on its way
    MHD_PHASE_BODY,     // likewise its body, if it has one
    MHD_PHASE_WAITING,  // suspended until due_ns
    MHD_PHASE_DUE,      // resumed: to be answered
    MHD_PHASE_GONE,     // resumed: the client is gone
    MHD_PHASE_ANSWERED, // the answer is on its way
};

struct mhd_connection {
    bool used;
    bool too_long; // the target
    enum mhd_phase phase;
    int fd;
    int seat;               // in mhd.c's struct seats
    bool cut;               // by us: it is about to be closed
    uint64_t due_ns;        // of MHD_PHASE_WAITING
    uint64_t awaited_since; // ns: since it was opened, or since the last request was answered
    struct MHD_Connection *handle;
    struct mhd_life *life;
    const struct host_rule *hosts;
    struct request request;
    struct reply reply;
    struct buffer body;
    size_t body_seen; // bytes that came, kept or not
    char target[QUERY_MAX + 1];
};

// Gives back what the request holds; the next one may come.
void mhd_request_release(struct mhd_connection *connection);

// For MHD_OPTION_URI_LOG_CALLBACK, MHD_OPTION_NOTIFY_COMPLETED, and the access handler. The
// socket's context is the struct mhd_connection.
void *mhd_request_started(void *context, const char *target, struct MHD_Connection *handle);
void mhd_request_completed(void *context, struct MHD_Connection *handle, void **request_context,
                           enum MHD_RequestTerminationCode code);
enum MHD_Result mhd_request_handle(void *context, struct MHD_Connection *handle, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **request_context);
