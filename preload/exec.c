// Programs that take the place of this one: a shell's last command, or what drops privileges and
// goes on as the server. They keep the endpoint's place. Children don't: not even those of vfork,
// where nothing here may touch the memory that is still their parent's.

#include "preload/environment.h"
#include "preload/family.h"
#include "preload/wrap.h"

#include <errno.h>
#include <stdarg.h>

static char **environment_of(char *const *given)
{
    return family_is_owner() ? environment_complete(given) : (char **)given;
}

// The program was not executed.
static int failed(char **environment, char *const *given)
{
    int saved = errno;
    environment_free(environment, given);
    errno = saved;
    return -1;
}

WRAPPER int execve(const char *path, char *const *arguments, char *const *given)
{
    char **environment = environment_of(given);
    REAL(execve)(path, arguments, environment);
    return failed(environment, given);
}

WRAPPER int execv(const char *path, char *const *arguments)
{
    return execve(path, arguments, environ);
}

WRAPPER int execvpe(const char *file, char *const *arguments, char *const *given)
{
    char **environment = environment_of(given);
    REAL(execvpe)(file, arguments, environment);
    return failed(environment, given);
}

WRAPPER int execvp(const char *file, char *const *arguments)
{
    return execvpe(file, arguments, environ);
}

WRAPPER int fexecve(int fd, char *const *arguments, char *const *given)
{
    char **environment = environment_of(given);
    REAL(fexecve)(fd, arguments, environment);
    return failed(environment, given);
}

WRAPPER int execveat(int folder, const char *path, char *const *arguments, char *const *given,
                     int flags)
{
    char **environment = environment_of(given);
    REAL(execveat)(folder, path, arguments, environment, flags);
    return failed(environment, given);
}

// Collects the arguments of the variants that list them, on the stack, as the C library does: in a
// child of vfork there is no other place. `last` is left behind the NULL that ends the list.
#define LISTED(arguments, first, last)                                     \
    va_list last;                                                          \
    size_t count = 1;                                                      \
    va_start(last, first);                                                 \
    while (count && va_arg(last, char *))                                  \
        count++;                                                           \
    va_end(last);                                                          \
    char **arguments = __builtin_alloca((count + 1) * sizeof(*arguments)); \
    arguments[0] = (char *)first;                                          \
    va_start(last, first);                                                 \
    for (size_t i = 1; i <= count; i++)                                    \
    arguments[i] = va_arg(last, char *)

WRAPPER int execl(const char *path, const char *first, ...)
{
    LISTED(arguments, first, rest);
    va_end(rest);
    return execve(path, arguments, environ);
}

WRAPPER int execlp(const char *file, const char *first, ...)
{
    LISTED(arguments, first, rest);
    va_end(rest);
    return execvpe(file, arguments, environ);
}

WRAPPER int execle(const char *path, const char *first, ...)
{
    LISTED(arguments, first, rest);
    char *const *given = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, arguments, given);
}
