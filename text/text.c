#include "text/text.h"

#include <errno.h>
#include <string.h>

ssize_t text_read(struct text *text, char *into, size_t room)
{
    struct buffer *out = &text->out;
    // The end of a piece and the next one go out together: a reader is woken for each read.
    if (text->at && text->at < out->length)
        memmove(out->data, out->data + text->at, out->length - text->at);
    out->length -= text->at;
    text->at = 0;
    text->wanted = room;
    bool more = out->length < room;
    do
        more = more && text->next(text);
    while (more && out->length == 0 && !out->failed);
    if (out->failed)
        return -ENOMEM;
    text->at = out->length < room ? out->length : room;
    if (text->at)
        memcpy(into, out->data, text->at);
    return (ssize_t)text->at;
}

void text_free(struct text *text)
{
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
