#include "http/mhd_request.h"

#include "answers/routes.h"
#include "profiler/base/clock.h"

#include <string.h>

#define SECOND 1000000000u

enum {
    BLOCK = 32 * 1024,                   // bytes of an answer held for a slow reader
    BODY_READ_MAX = 4 * ROUTES_BODY_MAX, // of a body that is too long before the client is cut off
};

static void at_work(struct mhd_life *life, bool working)
{
    atomic_store_explicit(&life->at_work, working, memory_order_relaxed);
    mhd_beat(life);
}

void mhd_request_release(struct mhd_connection *connection)
{
    reply_release(&connection->reply);
    buffer_release(&connection->body);
    connection->phase = MHD_PHASE_HEAD;
    connection->body_seen = 0;
    connection->too_long = false;
}

// The first that is heard of a request: its target as it came, before anything is decoded.
void *mhd_request_started(void *context, const char *target, struct MHD_Connection *handle)
{
    (void)context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct mhd_connection *connection = info ? info->socket_context : NULL;
    if (!connection)
        return NULL;
    mhd_request_release(connection);
    size_t length = strlen(target);
    connection->too_long = length > QUERY_MAX;
    memcpy(connection->target, target, connection->too_long ? QUERY_MAX : length);
    connection->target[connection->too_long ? QUERY_MAX : length] = '\0';
    return connection;
}

void mhd_request_completed(void *context, struct MHD_Connection *handle, void **request_context,
                           enum MHD_RequestTerminationCode code)
{
    struct mhd_connection *connection = *request_context;
    (void)context;
    (void)handle;
    (void)code;
    if (connection) {
        mhd_request_release(connection);
        connection->awaited_since = clock_monotonic_ns();
    }
    *request_context = NULL;
}

static ssize_t pull(void *context, uint64_t position, char *into, size_t room)
{
    struct mhd_connection *connection = context;
    (void)position;
    at_work(connection->life, true);
    ssize_t got = body_read(&connection->reply.body, into, room);
    at_work(connection->life, false);
    if (got > 0)
        return got;
    // An error closes the connection before the last chunk: the client sees that it was cut short.
    return got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

// Queues connection->reply. `last`: nothing more is read from this connection.
static enum MHD_Result queue(struct mhd_connection *connection, bool last)
{
    const struct reply *reply = &connection->reply;
    uint64_t size = reply->sized ? body_length(&reply->body) : MHD_SIZE_UNKNOWN;
    connection->phase = MHD_PHASE_ANSWERED;
    // Without a free function: the body is released when the request is completed.
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, BLOCK, pull, connection, NULL);
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_YES;
    const char *name;
    const char *value;
    char room[REPLY_HEADER_ROOM];
    for (unsigned at = 0; reply_header(reply, &at, &name, &value, room);)
        if (MHD_add_response_header(response, name, value) != MHD_YES)
            result = MHD_NO;
    if (last && MHD_add_response_header(response, "Connection", "close") != MHD_YES)
        result = MHD_NO;
    if (result == MHD_YES)
        result = MHD_queue_response(connection->handle, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header(struct mhd_connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection->handle, MHD_HEADER_KIND, name);
}

// The head is here. MHD_YES without an answer: the body, if there is one, shall come.
static enum MHD_Result request_head(struct mhd_connection *connection, const char *method,
                                    const char *version)
{
    struct reply *reply = &connection->reply;
    connection->request = (struct request){
        .method = method,
        .target = connection->target,
        .host = header(connection, "Host"),
        .http_1_0 = strcmp(version, "HTTP/1.1") != 0,
        .hosts = connection->hosts,
    };
    connection->phase = MHD_PHASE_BODY;
    if (connection->too_long) {
        reply_error(reply, 414, "the URL is longer than %d bytes", QUERY_MAX);
        return queue(connection, true);
    }
    const char *length = header(connection, "Content-Length");
    uint64_t announced = 0;
    bool chunked = header(connection, "Transfer-Encoding") != NULL;
    if (length && !query_unsigned(length, UINT64_MAX, &announced)) {
        reply_error(reply, 400, "Content-Length is no number");
        return queue(connection, true);
    }
    if (!chunked && announced == 0)
        return MHD_YES;
    if (!routes_takes_body(&connection->request, reply))
        return queue(connection, true);
    if (announced > ROUTES_BODY_MAX) {
        reply_error(reply, 413, "the body is longer than %d bytes", ROUTES_BODY_MAX);
        return queue(connection, true);
    }
    return MHD_YES;
}

static enum MHD_Result request_body(struct mhd_connection *connection, const char *data,
                                    size_t *size)
{
    connection->body_seen += *size;
    if (connection->body_seen > BODY_READ_MAX)
        return MHD_NO;
    if (connection->body_seen <= ROUTES_BODY_MAX)
        buffer_append(&connection->body, data, *size);
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result request_answer(struct mhd_connection *connection)
{
    struct reply *reply = &connection->reply;
    connection->request.body = connection->body.data;
    connection->request.body_length = connection->body_seen;
    at_work(connection->life, true);
    if (connection->phase == MHD_PHASE_DUE)
        routes_answer_later(reply);
    else if (connection->body.failed)
        reply_error(reply, 503, "out of memory; try again");
    else
        routes_answer(&connection->request, reply);
    at_work(connection->life, false);
    if (reply->wait_s) {
        connection->due_ns = clock_monotonic_ns() + (uint64_t)reply->wait_s * SECOND;
        connection->phase = MHD_PHASE_WAITING;
        MHD_suspend_connection(connection->handle);
        return MHD_YES;
    }
    return queue(connection, false);
}

enum MHD_Result mhd_request_handle(void *context, struct MHD_Connection *handle, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **request_context)
{
    struct mhd_connection *connection = *request_context;
    (void)context;
    (void)handle;
    (void)url;
    if (!connection)
        return MHD_NO;
    mhd_beat(connection->life);
    switch (connection->phase) {
    case MHD_PHASE_HEAD:
        return request_head(connection, method, version);
    case MHD_PHASE_BODY:
        if (*size)
            return request_body(connection, data, size);
        return request_answer(connection);
    case MHD_PHASE_DUE:
        return request_answer(connection);
    case MHD_PHASE_WAITING:
    case MHD_PHASE_ANSWERED:
        return MHD_YES;
    case MHD_PHASE_GONE:
        break;
    }
    return MHD_NO;
}
