#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>

struct real real;

// Of functions with several versions dlsym gives the newest, which is what anything linked since
// 2003 calls.
void real_resolve(void)
{
    int saved = errno;
#define RESOLVE(name) \
    __atomic_store_n(&real.name, (__typeof__(name) *)dlsym(RTLD_NEXT, #name), __ATOMIC_RELAXED);
    REAL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    errno = saved;
}
