// A library that never finishes loading: dlopen holds the loader's lock meanwhile.

#include <unistd.h>

__attribute__((constructor)) static void never_ready(void)
{
    for (;;)
        pause();
}
