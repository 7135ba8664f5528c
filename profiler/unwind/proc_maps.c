#include "profiler/unwind/proc_maps.h"

#include "profiler/base/memory.h"
#include "profiler/base/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// A path has at most 4,095 bytes, each of them four when escaped: a line fits.
enum { ROOM = 64 * 1024 };

static bool number(const char **at, unsigned base, uint64_t *ret)
{
    const char *from = *at;
    uint64_t value = 0;
    for (;; (*at)++) {
        unsigned char c = (unsigned char)**at;
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            break;
        value = value * base + digit;
    }
    *ret = value;
    return *at > from;
}

static bool literal(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

// "\012" and its like: white space and the backslash itself are what the kernel escapes.
static bool escaped(const char *at, char *ret)
{
    if (at[0] != '\\' || at[1] < '0' || at[1] > '1' || at[2] < '0' || at[2] > '7' || at[3] < '0' ||
        at[3] > '7')
        return false;
    int c = (at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0');
    *ret = (char)c;
    return c == ' ' || c == '\t' || c == '\n' || c == '\\';
}

static void decode(char *path)
{
    char *to = path;
    for (const char *from = path; *from; to++) {
        if (escaped(from, to))
            from += 4;
        else
            *to = *from++;
    }
    *to = 0;
}

static bool cut_suffix(char *path, const char *suffix)
{
    size_t length = strlen(path), cut = strlen(suffix);
    if (length <= cut || strcmp(path + length - cut, suffix) != 0)
        return false;
    path[length - cut] = 0;
    return true;
}

bool proc_maps_parse(char *line, size_t length, struct proc_map *ret)
{
    const char *at = line;
    uint64_t start, limit, offset, major, minor, inode;
    if (!number(&at, 16, &start) || !literal(&at, '-') || !number(&at, 16, &limit) ||
        !literal(&at, ' ') || strnlen(at, 5) < 5)
        return false;
    const char *permissions = at;
    at += 4;
    if (!literal(&at, ' ') || !number(&at, 16, &offset) || !literal(&at, ' ') ||
        !number(&at, 16, &major) || !literal(&at, ':') || !number(&at, 16, &minor) ||
        !literal(&at, ' ') || !number(&at, 10, &inode) || start >= limit)
        return false;
    while (*at == ' ')
        at++;
    char *path = line + (at - line);
    if (memchr(path, 0, length - (size_t)(at - line)))
        return false;
    bool deleted = cut_suffix(path, " (deleted)");
    decode(path);
    *ret = (struct proc_map){.start = start,
                             .limit = limit,
                             .offset = offset,
                             .device = makedev((unsigned)major, (unsigned)minor),
                             .inode = inode,
                             .readable = permissions[0] == 'r',
                             .executable = permissions[2] == 'x',
                             .deleted = deleted,
                             .path = path};
    return true;
}

// Hands out the whole lines in `text` and returns how many bytes they took; *ret_go_on is false
// when `each` has had enough.
static size_t lines(char *text, size_t length, bool (*each)(void *, const struct proc_map *),
                    void *context, bool *ret_go_on)
{
    size_t done = 0;
    *ret_go_on = true;
    while (*ret_go_on) {
        char *newline = memchr(text + done, '\n', length - done);
        if (!newline)
            break;
        *newline = 0;
        struct proc_map map;
        if (proc_maps_parse(text + done, (size_t)(newline - text) - done, &map))
            *ret_go_on = each(context, &map);
        done = (size_t)(newline - text) + 1;
    }
    return done;
}

static int read_all(int fd, char *text, bool (*each)(void *, const struct proc_map *),
                    void *context)
{
    size_t held = 0;
    for (;;) {
        // Through syscall(2): read() is a cancellation point, and a preloaded wrapper may count it
        // among the application's waits.
        long got = syscall(SYS_read, fd, text + held, ROOM - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        held += (size_t)got;
        bool go_on;
        size_t done = lines(text, held, each, context, &go_on);
        if (!go_on)
            return 0;
        held -= done;
        memmove(text, text + done, held);
        if (held == ROOM)
            return -EPROTO;
    }
}

int proc_maps_each(bool (*each)(void *context, const struct proc_map *map), void *context)
{
    char *text = memory_map(ROOM);
    if (!text)
        return -ENOMEM;
    int saved = errno;
    int fd =
        own_fd((int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/maps", O_RDONLY | O_CLOEXEC));
    int error = fd < 0 ? -errno : read_all(fd, text, each, context);
    if (fd >= 0)
        own_fd_close(fd);
    errno = saved;
    memory_unmap(text, ROOM);
    return error;
}
