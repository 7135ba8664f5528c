#include "text/words.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

// What stands for an address that could not even be looked up.
static const struct symbol_frame nameless = {.function = "", .file = ""};

void words_channel(uint32_t channel_class, char into[WORDS_CHANNEL_MAX])
{
    const struct channel_class *class = channel_class_get(channel_class);
    snprintf(into, WORDS_CHANNEL_MAX, "unnamed");
    if (!class)
        return;
    if (class->name[0]) {
        snprintf(into, WORDS_CHANNEL_MAX, "%.*s", TASKPROF_CHAN_NAME_SIZE, class->name);
        return;
    }
    struct origin origin = origin_of(class->creation);
    origin_place(&origin, into);
}

// A number of thousandths with its zeros behind the point left out.
static void thousandths(struct buffer *out, uint64_t value)
{
    buffer_unsigned(out, value / 1000);
    unsigned rest = (unsigned)(value % 1000);
    if (!rest)
        return;
    const char text[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                         (char)('0' + rest % 10)};
    buffer_append(out, text, rest % 10 ? 4 : rest % 100 ? 3 : 2);
}

void words_span(struct buffer *out, uint64_t ns)
{
    if (ns == 0) {
        buffer_string(out, "0s");
    } else if (ns < 1000000) {
        thousandths(out, ns);
        buffer_string(out, "us");
    } else if (ns < 1000000000) {
        thousandths(out, ns / 1000);
        buffer_string(out, "ms");
    } else {
        uint64_t ms = ns / 1000000;
        uint64_t hours = ms / 3600000;
        uint64_t minutes = ms / 60000 % 60;
        if (hours) {
            buffer_unsigned(out, hours);
            buffer_char(out, 'h');
        }
        if (hours || minutes) {
            buffer_unsigned(out, minutes);
            buffer_char(out, 'm');
        }
        thousandths(out, ms % 60000);
        buffer_char(out, 's');
    }
}

void words_instant(struct buffer *out, uint64_t realtime_ns)
{
    uint64_t seconds = realtime_ns / 1000000000;
    unsigned of_day = (unsigned)(seconds % 86400);
    // Years from March on put the leap day last; an era of 400 such years has 146,097 days, and
    // 1970-01-01 is day 719,468 of the count.
    uint64_t day = seconds / 86400 + 719468;
    unsigned of_era = (unsigned)(day % 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * of_year + 2) / 153; // 0 is March
    unsigned of_month = of_year - (153 * month + 2) / 5 + 1;
    uint64_t year = day / 146097 * 400 + year_of_era + (month >= 10);
    buffer_printf(out, "%04llu-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned long long)year,
                  month < 10 ? month + 3 : month - 9, of_month, of_day / 3600, of_day / 60 % 60,
                  of_day % 60, (unsigned)(realtime_ns / 1000000 % 1000));
}

// Bytes of the UTF-8 character at `at`; 0: it is none.
static unsigned utf8_length(const unsigned char *at)
{
    if (at[0] < 0x80)
        return 1;
    unsigned length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    // A NUL is no continuation, so this never reads behind the end.
    for (unsigned i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

// Whether it stands in quotes as it is, and is a character of its own.
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != ']';
}

void words_quoted(struct buffer *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    buffer_char(out, '"');
    for (;;) {
        size_t plain = 0;
        while (is_plain(at[plain]))
            plain++;
        buffer_append(out, at, plain);
        at += plain;
        if (!*at)
            break;
        unsigned length = utf8_length(at);
        if (length == 0) {
            buffer_string(out, "\xef\xbf\xbd");
            length = 1;
        } else if (*at == '"' || *at == '\\') {
            buffer_char(out, '\\');
            buffer_char(out, (char)*at);
        } else if (*at < 0x20 || *at == 0x7f || *at == ']') {
            buffer_printf(out, "\\u%04x", *at);
        } else {
            buffer_append(out, at, length);
        }
        at += length;
    }
    buffer_char(out, '"');
}

void words_plain(struct buffer *out, const char *text)
{
    while (*text) {
        size_t good = 0;
        while ((unsigned char)text[good] >= 0x20 && text[good] != 0x7f)
            good++;
        buffer_append(out, text, good);
        text += good;
        if (*text) {
            buffer_char(out, '?');
            text++;
        }
    }
}

void words_function(struct buffer *out, const struct snapshot *snapshot, const char *function,
                    uintptr_t address)
{
    if (function[0]) {
        words_plain(out, function);
        return;
    }
    const struct mapping *mapping = snapshot_find_mapping(snapshot, address);
    if (!mapping || !mapping->path[0]) {
        buffer_string(out, "??");
        return;
    }
    const char *slash = strrchr(mapping->path, '/');
    words_plain(out, slash ? slash + 1 : mapping->path);
    buffer_string(out, "+0x");
    buffer_hex(out, address - mapping->bias);
}

void words_place(struct buffer *out, const struct symbol_frame *frame)
{
    if (!frame->file[0]) {
        buffer_string(out, "??:0");
        return;
    }
    words_plain(out, frame->file);
    buffer_char(out, ':');
    buffer_unsigned(out, frame->line);
}

bool words_is_go_file(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".go") == 0 || strcmp(dot, ".s") == 0);
}

enum frame_style { FRAME_ADDRESS, FRAME_GO, FRAME_GO_FILES };

static void one_frame(struct buffer *out, const struct snapshot *snapshot, enum frame_style style,
                      const char *prefix, uintptr_t address, const struct symbol *symbol,
                      const struct symbol_frame *frame)
{
    uintptr_t offset =
        symbol && symbol->entry && address > symbol->entry ? address - symbol->entry : 0;
    if (style == FRAME_ADDRESS) {
        buffer_string(out, prefix);
        buffer_string(out, "\t0x");
        buffer_hex(out, address);
        buffer_char(out, '\t');
        words_function(out, snapshot, frame->function, address);
        buffer_string(out, "+0x");
        buffer_hex(out, offset);
        buffer_char(out, '\t');
        words_place(out, frame);
    } else {
        bool moved = style == FRAME_GO_FILES && frame->file[0] && !words_is_go_file(frame->file);
        words_function(out, snapshot, frame->function, address);
        if (moved) {
            buffer_char(out, ' ');
            words_place(out, frame);
        }
        buffer_string(out, "(...)\n\t");
        words_place(out, moved ? &nameless : frame);
        buffer_string(out, " +0x");
        buffer_hex(out, offset);
    }
    buffer_char(out, '\n');
}

static void frames(struct buffer *out, const struct snapshot *snapshot, enum frame_style style,
                   const char *prefix, stack_id id)
{
    enum { BATCH = 64 };
    const struct stack *stack = stack_get(id);
    for (uint32_t done = 0; done < stack->depth; done += BATCH) {
        const struct symbol *symbols[BATCH] = {NULL};
        uint32_t count = stack->depth - done < BATCH ? stack->depth - done : BATCH;
        // A time-out leaves names without lines: still an answer.
        symbols_resolve(stack->frames + done, count, symbols);
        for (uint32_t i = 0; i < count; i++) {
            const struct symbol *symbol = symbols[i];
            uintptr_t address = stack->frames[done + i];
            for (unsigned f = 0; f < (symbol ? symbol->count : 1); f++)
                one_frame(out, snapshot, style, prefix, address, symbol,
                          symbol ? &symbol->frames[f] : &nameless);
        }
    }
}

void words_frames_address(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                          const char *prefix)
{
    frames(out, snapshot, FRAME_ADDRESS, prefix, stack);
}

void words_frames_go(struct buffer *out, const struct snapshot *snapshot, stack_id stack,
                     bool go_files)
{
    frames(out, snapshot, go_files ? FRAME_GO_FILES : FRAME_GO, "", stack);
}

const char *words_stack_end(uint32_t end)
{
    if (end & STACK_TOO_DEEP)
        return "deeper than is kept";
    if (end & STACK_NO_RULE)
        return "code without unwind information";
    if (end & STACK_BAD_FRAME)
        return "a frame outside the stack";
    if (end & STACK_NO_REGISTER)
        return "a register that is not known";
    return "";
}

void words_summary(struct buffer *out, const struct snapshot *snapshot)
{
    buffer_printf(out,
                  "%llu tasks (%llu threads, %llu coroutines): %llu parked, %llu moved, %llu "
                  "truncated, %llu unreadable; taken ",
                  (unsigned long long)snapshot->tasks, (unsigned long long)snapshot->threads,
                  (unsigned long long)snapshot->coroutines, (unsigned long long)snapshot->parked,
                  (unsigned long long)snapshot->moved, (unsigned long long)snapshot->truncated,
                  (unsigned long long)snapshot->unreadable);
    words_instant(out, snapshot->time_ns);
    buffer_string(out, " in ");
    words_span(out, snapshot->duration_ns);
}

const char *words_syscall(unsigned number)
{
    static const struct {
        unsigned number;
        const char *name;
    } calls[] = {
        {SYS_read, "read"},
        {SYS_write, "write"},
        {SYS_readv, "readv"},
        {SYS_writev, "writev"},
        {SYS_pread64, "pread64"},
        {SYS_pwrite64, "pwrite64"},
        {SYS_fsync, "fsync"},
        {SYS_fdatasync, "fdatasync"},
        {SYS_flock, "flock"},
        {SYS_fcntl, "fcntl"},
        {SYS_ioctl, "ioctl"},
        {SYS_openat, "openat"},
        {SYS_close, "close"},
        {SYS_ppoll, "ppoll"},
        {SYS_pselect6, "pselect6"},
        {SYS_epoll_pwait, "epoll_pwait"},
        {SYS_accept, "accept"},
        {SYS_accept4, "accept4"},
        {SYS_connect, "connect"},
        {SYS_recvfrom, "recvfrom"},
        {SYS_recvmsg, "recvmsg"},
        {SYS_recvmmsg, "recvmmsg"},
        {SYS_sendto, "sendto"},
        {SYS_sendmsg, "sendmsg"},
        {SYS_sendmmsg, "sendmmsg"},
        {SYS_sendfile, "sendfile"},
        {SYS_splice, "splice"},
        {SYS_futex, "futex"},
        {SYS_nanosleep, "nanosleep"},
        {SYS_clock_nanosleep, "clock_nanosleep"},
        {SYS_wait4, "wait4"},
        {SYS_waitid, "waitid"},
        {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
        {SYS_rt_sigsuspend, "rt_sigsuspend"},
        {SYS_semop, "semop"},
        {SYS_semtimedop, "semtimedop"},
        {SYS_msgrcv, "msgrcv"},
        {SYS_msgsnd, "msgsnd"},
        {SYS_mq_timedreceive, "mq_timedreceive"},
        {SYS_mq_timedsend, "mq_timedsend"},
        {SYS_io_getevents, "io_getevents"},
        {SYS_io_uring_enter, "io_uring_enter"},
        {SYS_restart_syscall, "restart_syscall"},
#ifdef SYS_poll
        // Calls that younger architectures do without.
        {SYS_poll, "poll"},
        {SYS_select, "select"},
        {SYS_epoll_wait, "epoll_wait"},
        {SYS_pause, "pause"},
        {SYS_open, "open"},
#endif
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i].number == number)
            return calls[i].name;
    return NULL;
}
