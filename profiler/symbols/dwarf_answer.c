#include "profiler/symbols/dwarf_answer.h"

#include <string.h>

bool dwarf_answer_lacks_name(const struct dwarf_answer *answer, const char *name, size_t length)
{
    const char *known = answer->frames[answer->count - 1].function;
    if (!known || !answer->not_linker_name)
        return !known;
    size_t start = strlen(known);
    bool extends = length >= start && memcmp(name, known, start) == 0 &&
                   (length == start || name[start] == '.');
    return !extends;
}
