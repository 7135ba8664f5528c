#include "preload/environment.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PRELOAD  "LD_PRELOAD="
#define OWN_FILE "libtaskprof_preload.so"
#define PARENT   "TASKPROF_PARENT"

enum { KEPT_MAX = 32, KEPT_BYTES = 8192 };

// As they were at the start: the application may write over the originals.
static char kept_bytes[KEPT_BYTES];
static size_t kept_used;
static const char *kept[KEPT_MAX]; // "TASKPROF_NAME=value"
static size_t kept_count;
static const char *own_path; // this library, as LD_PRELOAD had it

static const char *keep(const char *text, size_t length)
{
    if (length >= sizeof(kept_bytes) - kept_used)
        return NULL;
    char *copy = kept_bytes + kept_used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    kept_used += length + 1;
    return copy;
}

bool environment_children(void)
{
    const char *children = secure_getenv("TASKPROF_CHILDREN");
    return children && *children && strcmp(children, "0") != 0;
}

bool environment_is_child(void)
{
    const char *parent = getenv(PARENT);
    return parent && strtol(parent, NULL, 10) != getpid();
}

static bool is_own(const char *path, size_t length)
{
    size_t own = strlen(OWN_FILE);
    return length >= own && memcmp(path + length - own, OWN_FILE, own) == 0 &&
           (length == own || path[length - own - 1] == '/');
}

// Takes this library out of a list in place; how much of the list is left.
static size_t strip(char *list)
{
    char *to = list;
    for (const char *from = list; *from;) {
        size_t length = strcspn(from, ": ");
        if (is_own(from, length)) {
            own_path = own_path ? own_path : keep(from, length);
        } else if (length) {
            if (to != list)
                *to++ = ':';
            memmove(to, from, length);
            to += length;
        }
        from += length + (from[length] != '\0');
    }
    *to = '\0';
    return (size_t)(to - list);
}

static void tell_children(void)
{
    char self[16];
    snprintf(self, sizeof(self), "%d", (int)getpid());
    setenv(PARENT, self, 1);
}

void environment_take(void)
{
    if (environment_children()) {
        tell_children();
        return;
    }
    char **to = environ;
    for (char **from = environ; from && *from; from++) {
        bool gone = false;
        if (strncmp(*from, PRELOAD, strlen(PRELOAD)) == 0)
            gone = strip(*from + strlen(PRELOAD)) == 0;
        if (strncmp(*from, "TASKPROF_", strlen("TASKPROF_")) == 0 && kept_count < KEPT_MAX) {
            kept[kept_count] = keep(*from, strlen(*from));
            kept_count += kept[kept_count] != NULL;
        }
        if (!gone)
            *to++ = *from;
    }
    if (to)
        *to = NULL;
}

static bool has(char *const *environment, const char *variable)
{
    size_t length = strcspn(variable, "=") + 1;
    for (; environment && *environment; environment++)
        if (strncmp(*environment, variable, length) == 0)
            return true;
    return false;
}

// What environment_complete returns: a page or more of its own.
struct completed {
    size_t bytes;
    char *variables[];
};

char **environment_complete(char *const *given)
{
    size_t count = 0;
    const char *others = "";
    for (; given && given[count]; count++)
        if (strncmp(given[count], PRELOAD, strlen(PRELOAD)) == 0)
            others = given[count] + strlen(PRELOAD);
    if (!own_path)
        return (char **)given;
    size_t text = strlen(PRELOAD) + strlen(own_path) + 1 + strlen(others) + 1;
    size_t pointers = (count + kept_count + 2) * sizeof(char *);
    size_t bytes = sizeof(struct completed) + pointers + text;
    struct completed *completed =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (completed == MAP_FAILED)
        return (char **)given;
    completed->bytes = bytes;
    char *preload = (char *)completed->variables + pointers;
    snprintf(preload, text, PRELOAD "%s%s%s", own_path, *others ? ":" : "", others);
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(given[i], PRELOAD, strlen(PRELOAD)) != 0)
            completed->variables[used++] = given[i];
    completed->variables[used++] = preload;
    for (size_t i = 0; i < kept_count; i++)
        if (!has(given, kept[i]))
            completed->variables[used++] = (char *)kept[i];
    completed->variables[used] = NULL;
    return completed->variables;
}

void environment_free(char **environment, char *const *given)
{
    if (environment == given)
        return;
    struct completed *completed =
        (struct completed *)((char *)environment - offsetof(struct completed, variables));
    munmap(completed, completed->bytes);
}
