#include "cli/preload_path.h"

#include "cli/complain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "libtaskprof_preload.so"

int preload_path(char into[PATH_MAX])
{
    // Installed, and in a build folder.
    static const char *const places[] = {TASKPROF_BIN_TO_LIB "/" NAME, "../preload/" NAME};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0) {
        int error = -errno;
        complain("/proc/self/exe: %s; without it " NAME " can't be found", strerror(errno));
        return error;
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        char path[2 * PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", self, places[i]);
        if (!realpath(path, into))
            continue;
        if (strpbrk(into, " :")) {
            complain("%s: the loader takes no path with a space or colon in it; install taskprof "
                     "elsewhere",
                     into);
            return -EINVAL;
        }
        return 0;
    }
    complain(NAME " is neither in %s/" TASKPROF_BIN_TO_LIB " nor in %s/../preload: is taskprof "
                  "wholly installed?",
             self, self);
    return -ENOENT;
}
