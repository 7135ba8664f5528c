#include "profiler/base/errno_keep.h"

#include <errno.h>

__attribute__((noipa)) int errno_get(void)
{
    return errno;
}

__attribute__((noipa)) void errno_set(int value)
{
    errno = value;
}
