#include "service/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>

static _Thread_local char last[ERRORS_TEXT_MAX];

char *errors_last(void)
{
    return last;
}

void errors_set(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last, sizeof(last), format, args);
    va_end(args);
}

const char *taskprof_start_error(void)
{
    return last;
}

const char *taskprof_error_text(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {0, "no error"},
        {-EALREADY, "already done: started, stopped, or closed"},
        {-EINVAL, "an argument or option is not right"},
        {-EPIPE, "the channel, or the file's other end, is closed"},
        {-ESTALE, "the channel was freed"},
        {-EAGAIN, "it would block, or there can be no more threads"},
        {-ETIMEDOUT, "the time is over"},
        {-EBUSY, "tasks wait on the channel"},
        {-ENOMEM, "out of memory"},
        {-EADDRINUSE, "the port is taken"},
        {-EADDRNOTAVAIL, "the address is not one of this machine's"},
        {-EACCES, "no permission"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].error == error)
            return texts[i].text;
    const char *text = error < 0 && error > -4096 ? strerrordesc_np(-error) : NULL;
    return text ? text : "unknown error";
}
