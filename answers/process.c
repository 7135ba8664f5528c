// cmdline and symbol: what go tool pprof asks about the process itself.

#include "answers/profiles.h"

#include "profiler/base/epoch.h"
#include "profiler/base/own_fd.h"
#include "profiler/symbols/symbols.h"
#include "profiler/unwind/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void profile_cmdline(const struct request *request, const char *query, struct reply *reply)
{
    struct buffer *out = &reply->body.buffer;
    ssize_t got = -1;
    (void)request;
    (void)query;
    int fd = own_fd(open("/proc/thread-self/cmdline", O_RDONLY | O_CLOEXEC));
    if (fd >= 0) {
        char *into;
        while ((into = buffer_reserve(out, 4096)) && (got = read(fd, into, 4096)) > 0)
            out->length += (size_t)got;
        own_fd_close(fd);
    }
    if (got < 0) {
        reply_error(reply, 500, "/proc/self/cmdline can't be read");
        return;
    }
    // Separated by NULs, as Go has it; the kernel ends the last one too.
    if (out->length && out->data[out->length - 1] == '\0')
        out->length--;
    reply->status = 200;
    reply->type = "text/plain; charset=utf-8";
    reply->sized = true;
}

// The request's addresses, answered batch by batch as the answer is read.
struct symbols {
    struct buffer asked;
    size_t next; // in `asked`
    struct buffer out;
    size_t at;
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

// The next "0xADDR" of what was asked; false at the end. What is no address is skipped.
static bool next_address(struct symbols *symbols, uintptr_t *ret)
{
    const char *text = symbols->asked.data;
    size_t length = symbols->asked.length;
    while (symbols->next < length) {
        size_t at = symbols->next;
        size_t end = at;
        while (end < length && text[end] != '+' && text[end] != ' ' && text[end] != '\n')
            end++;
        symbols->next = end + 1;
        if (end - at > 2 && text[at] == '0' && (text[at + 1] | 32) == 'x')
            at += 2;
        uintptr_t value = 0;
        bool good = end > at && end - at <= 2 * sizeof(value);
        for (; at < end && good; at++) {
            good = digit(text[at]) >= 0;
            value = value << 4 | (uintptr_t)digit(text[at]);
        }
        if (good) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static void answer_address(struct buffer *out, uintptr_t address)
{
    struct mapping mapping;
    // What was looked up is kept: a client may use the room for code addresses that there are, not
    // for any that it makes up.
    if (address == UINTPTR_MAX || !maps_find(address, &mapping))
        return;
    const struct symbol *symbol = NULL;
    struct epoch_hold hold = {0};
    epoch_hold(&hold);
    // A look-up is for the instruction before a return address; pprof asks for just that one.
    uintptr_t behind = address + 1;
    symbols_resolve(&behind, 1, &symbol);
    if (symbol && symbol->frames[symbol->count - 1].function[0]) {
        buffer_string(out, "0x");
        buffer_hex(out, address);
        buffer_char(out, ' ');
        buffer_string(out, symbol->frames[symbol->count - 1].function);
        buffer_char(out, '\n');
    }
    epoch_release(&hold);
}

static ssize_t symbols_read(void *context, char *into, size_t room)
{
    enum { PIECE = 16 * 1024 };
    struct symbols *symbols = context;
    while (symbols->at == symbols->out.length) {
        uintptr_t address;
        bool more = false;
        symbols->at = 0;
        symbols->out.length = 0;
        while (symbols->out.length < PIECE && (more = next_address(symbols, &address)))
            answer_address(&symbols->out, address);
        if (symbols->out.failed)
            return -ENOMEM;
        if (!more && symbols->out.length == 0)
            return 0;
    }
    size_t left = symbols->out.length - symbols->at;
    size_t take = left < room ? left : room;
    memcpy(into, symbols->out.data + symbols->at, take);
    symbols->at += take;
    return (ssize_t)take;
}

static void symbols_free(void *context)
{
    struct symbols *symbols = context;
    buffer_release(&symbols->asked);
    buffer_release(&symbols->out);
    memory_unmap(symbols, sizeof(*symbols));
}

void profile_symbol(const struct request *request, const char *query, struct reply *reply)
{
    struct symbols *symbols = memory_map(sizeof(*symbols));
    if (!symbols) {
        reply_error(reply, 503, "out of memory; try again");
        return;
    }
    // As Go has it: a GET asks in its query, and the client takes num_symbols as "yes, it can".
    if (strcmp(request->method, "POST") == 0)
        buffer_append(&symbols->asked, request->body, request->body_length);
    else
        buffer_string(&symbols->asked, query);
    if (symbols->asked.failed) {
        symbols_free(symbols);
        reply_error(reply, 503, "out of memory; try again");
        return;
    }
    reply->status = 200;
    reply->type = "text/plain; charset=utf-8";
    reply->body.text = "num_symbols: 1\n";
    reply->body.read = symbols_read;
    reply->body.free = symbols_free;
    reply->body.context = symbols;
}
