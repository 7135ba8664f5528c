// A line of the file that TASKPROF_CHANNELS names: reads stay inside, a message is printable text,
// and what was understood reads the same when it is written down again.

#include "profiler/described/description.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problem(const char *problem)
{
    size_t length = strnlen(problem, PROBLEM_MAX);
    if (length == 0 || length == PROBLEM_MAX)
        abort();
    for (size_t i = 0; i < length; i++)
        if (problem[i] < ' ' || problem[i] > '~')
            abort();
}

// The path of one role, as a description of its own.
static void check_path(const struct description *description, enum path_role role)
{
    const struct path *path = &description->paths[role];
    char text[PATH_STEPS_MAX * (PATH_NAME_MAX + 16)];
    char line[sizeof(text) + 64];
    static struct description again;
    char problem[PROBLEM_MAX];
    description_path_text(path, path->count - 1, text, sizeof(text));
    // A line without anything to wait on is refused.
    int written = snprintf(line, sizeof(line), "t len=%s recv=r", text);
    if (written < 0 || (size_t)written >= sizeof(line) ||
        description_parse(line, (size_t)written, 1, &again, problem) != DESCRIPTION_READ)
        abort();
    const struct path *read = &again.paths[ROLE_LENGTH];
    if (read->count != path->count)
        abort();
    for (unsigned i = 0; i < path->count; i++)
        if (read->steps[i].kind != path->steps[i].kind ||
            read->steps[i].index != path->steps[i].index ||
            strcmp(read->steps[i].name, path->steps[i].name) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // A copy of its own, so that the sanitizer sees its end.
    char *text = malloc(size ? size : 1);
    if (size)
        memcpy(text, data, size);
    static struct description description;
    char problem[PROBLEM_MAX] = "";
    switch (description_parse(text, size, 1, &description, problem)) {
    case DESCRIPTION_BAD:
        check_problem(problem);
        break;
    case DESCRIPTION_READ:
        for (unsigned role = 0; role < ROLES; role++)
            if (description.paths[role].count)
                check_path(&description, role);
        break;
    case DESCRIPTION_NONE:
        break;
    }
    free(text);
    return 0;
}
