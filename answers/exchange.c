#include "answers/exchange.h"

#include "profiler/snapshot/snapshot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ssize_t body_read(struct body *body, char *into, size_t room)
{
    size_t text = body->text ? strlen(body->text) : 0;
    const char *from = NULL;
    size_t left = 0;
    if (body->at < text) {
        from = body->text + body->at;
        left = text - body->at;
    } else if (body->at - text < body->buffer.length) {
        from = body->buffer.data + (body->at - text);
        left = body->buffer.length - (body->at - text);
    }
    if (left) {
        size_t take = left < room ? left : room;
        memcpy(into, from, take);
        body->at += take;
        return (ssize_t)take;
    }
    return body->read ? body->read(body->context, into, room) : 0;
}

size_t body_length(const struct body *body)
{
    return (body->text ? strlen(body->text) : 0) + body->buffer.length;
}

void reply_release(struct reply *reply)
{
    if (reply->body.free)
        reply->body.free(reply->body.context);
    buffer_release(&reply->body.buffer);
    if (reply->before)
        snapshot_free(reply->before);
    *reply = (struct reply){0};
}

void reply_error(struct reply *reply, unsigned status, const char *format, ...)
{
    reply_release(reply);
    reply->status = status;
    reply->type = "text/plain; charset=utf-8";
    reply->error = true;
    reply->sized = true;
    char text[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (length >= (int)sizeof(text) - 1)
        length = (int)sizeof(text) - 2;
    if (length >= 0)
        text[length++] = '\n';
    buffer_append(&reply->body.buffer, text, length > 0 ? (size_t)length : 0);
    if (reply->body.buffer.failed)
        reply->body.text = "out of memory\n";
}

const char *reply_status_text(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 301:
        return "Moved Permanently";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

bool reply_header(const struct reply *reply, unsigned *at, const char **ret_name,
                  const char **ret_value, char room[REPLY_HEADER_ROOM])
{
    const char *disposition = NULL;
    if (reply->filename) {
        snprintf(room, REPLY_HEADER_ROOM, "attachment; filename=\"%s\"", reply->filename);
        disposition = room;
    }
    const struct {
        const char *name;
        const char *value;
    } headers[] = {
        {"Content-Type", reply->type},
        {"X-Content-Type-Options", "nosniff"},
        {"Cache-Control", "no-store"},
        {"Content-Disposition", disposition},
        {"Location", reply->location},
        {"Allow", reply->allow},
        {"X-Go-Pprof", reply->error ? "1" : NULL},
        {"Retry-After", reply->status == 503 ? "1" : NULL},
    };
    while (*at < sizeof(headers) / sizeof(headers[0])) {
        unsigned i = (*at)++;
        if (headers[i].value) {
            *ret_name = headers[i].name;
            *ret_value = headers[i].value;
            return true;
        }
    }
    return false;
}
