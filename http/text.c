#include "http/text.h"

#include <errno.h>
#include <string.h>

static ssize_t text_read(void *context, char *into, size_t room)
{
    struct text *text = context;
    while (text->at == text->out.length) {
        text->at = 0;
        text->out.length = 0;
        bool more = text->next(text);
        if (text->out.failed)
            return -ENOMEM;
        if (!more)
            return 0;
    }
    size_t left = text->out.length - text->at;
    size_t take = left < room ? left : room;
    memcpy(into, text->out.data + text->at, take);
    text->at += take;
    return (ssize_t)take;
}

static void text_free(void *context)
{
    struct text *text = context;
    if (text->release)
        text->release(text);
    buffer_release(&text->out);
    snapshot_free(text->snapshot);
}

void *text_new(struct snapshot *snapshot, size_t size, bool (*next)(struct text *))
{
    struct text *text = arena_alloc(&snapshot->arena, size);
    if (!text)
        return NULL;
    text->snapshot = snapshot;
    text->next = next;
    return text;
}

void text_serve(struct text *text, struct http_body *ret)
{
    ret->read = text_read;
    ret->free = text_free;
    ret->context = text;
}
