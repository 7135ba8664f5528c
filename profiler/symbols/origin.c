#include "profiler/symbols/origin.h"

#include <stdio.h>
#include <string.h>

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// Functions that stand between a creator and what it creates.
static bool is_between(const struct symbol_frame *frame)
{
    return starts_with(frame->function, "taskprof_") ||
           strcmp(frame->function, "pthread_create") == 0 ||
           strcmp(frame->function, "thrd_create") == 0;
}

// C++'s own library does, too: std::thread and std::async are its, and who calls them is not.
// Templates over a lambda have no mangled name in DWARF; their file tells. What calls a thread's
// function bears that function in its name.
static bool is_cxx_library(const struct symbol_frame *frame)
{
    if (starts_with(frame->function, "_ZNSt6thread11_State_impl"))
        return false;
    return starts_with(frame->function, "_ZNSt") || starts_with(frame->function, "_ZSt") ||
           strstr(frame->file, "/include/c++/");
}

// How many of a symbol's frames, the innermost first, stand between. What is inlined into
// taskprof's functions does too, whatever its name; what is inlined into C++'s may be the
// application's.
static unsigned count_between(const struct symbol *symbol, bool cxx)
{
    unsigned count = symbol->count;
    while (count && !is_between(&symbol->frames[count - 1]))
        count--;
    while (cxx && count < symbol->count && is_cxx_library(&symbol->frames[count]))
        count++;
    return count;
}

static struct origin choose(const uintptr_t *addresses, const struct symbol *const *symbols,
                            size_t count, bool cxx)
{
    static const struct symbol_frame nameless = {.function = "", .file = ""};
    for (size_t i = 0; i < count; i++) {
        const struct symbol *symbol = symbols[i];
        if (!symbol || symbol->count == 0)
            return (struct origin){.frame = &nameless, .address = addresses[i]};
        unsigned between = count_between(symbol, cxx);
        if (between < symbol->count)
            return (struct origin){
                .frame = &symbol->frames[between], .address = addresses[i], .entry = symbol->entry};
    }
    return (struct origin){.frame = &nameless};
}

struct origin origin_choose(const uintptr_t *addresses, const struct symbol *const *symbols,
                            size_t count)
{
    struct origin origin = choose(addresses, symbols, count, true);
    // Deep in C++'s library the library is all that can be named.
    return origin.address ? origin : choose(addresses, symbols, count, false);
}

struct origin origin_of(stack_id creation)
{
    const struct stack *stack = stack_get(creation);
    const struct symbol *symbols[ORIGIN_DEPTH] = {NULL};
    size_t count = stack->depth < ORIGIN_DEPTH ? stack->depth : ORIGIN_DEPTH;
    // A time-out leaves names without lines: still an answer.
    symbols_resolve(stack->frames, count, symbols);
    return origin_choose(stack->frames, symbols, count);
}

// An address without a name, as the file and its own address in it: the same in every process,
// wherever the file was loaded.
static void place_in_file(uintptr_t address, char into[ORIGIN_PLACE_MAX])
{
    struct mapping mapping;
    if (!maps_find(address, &mapping)) {
        snprintf(into, ORIGIN_PLACE_MAX, "0x%zx", (size_t)address);
        return;
    }
    const char *slash = strrchr(mapping.path, '/');
    snprintf(into, ORIGIN_PLACE_MAX, "%.200s+0x%zx", slash ? slash + 1 : mapping.path,
             (size_t)(address - mapping.bias));
}

const char *origin_place(const struct origin *origin, char into[ORIGIN_PLACE_MAX])
{
    const struct symbol_frame *frame = origin->frame;
    const char *slash = strrchr(frame->file, '/');
    const char *file = slash ? slash + 1 : frame->file;
    if (origin->address == 0)
        return NULL;
    if (file[0] && frame->line)
        snprintf(into, ORIGIN_PLACE_MAX, "%.240s:%u", file, frame->line);
    else if (frame->function[0])
        snprintf(into, ORIGIN_PLACE_MAX, "%.250s", frame->function);
    else
        place_in_file(origin->address - 1, into);
    return into;
}
