#include "proto/labels.h"

#include <stdio.h>
#include <string.h>

// Functions that stand between a creator and what it creates.
static bool is_between(const char *function)
{
    return strncmp(function, "taskprof_", strlen("taskprof_")) == 0 ||
           strcmp(function, "pthread_create") == 0 || strcmp(function, "thrd_create") == 0;
}

// The frame that really created something, NULL if its name is not known; its address is then in
// *ret_address, 0 if there is no frame at all.
static const struct symbol_frame *origin(const struct places *places, stack_id creation,
                                         uintptr_t *ret_address)
{
    const struct stack *stack = stack_get(creation);
    *ret_address = 0;
    for (uint32_t i = 0; i < stack->depth && i < PLACES_ORIGIN_DEPTH; i++) {
        const struct symbol *symbol = places_symbol_at(places, stack->frames[i]);
        if (!symbol || symbol->count == 0 || symbol->frames[0].function[0] == 0) {
            *ret_address = stack->frames[i];
            return NULL;
        }
        for (unsigned j = 0; j < symbol->count; j++)
            if (!is_between(symbol->frames[j].function))
                return &symbol->frames[j];
    }
    return NULL;
}

static const char *address_text(uintptr_t address, char room[LABEL_SIZE])
{
    if (address == 0)
        return NULL;
    snprintf(room, LABEL_SIZE, "0x%zx", (size_t)(address - 1));
    return room;
}

const char *label_channel(const struct places *places, const char *name, stack_id creation,
                          char room[LABEL_SIZE])
{
    if (name[0])
        return name;
    uintptr_t address;
    const struct symbol_frame *frame = origin(places, creation, &address);
    if (!frame)
        return address ? address_text(address, room) : "unnamed";
    if (frame->line == 0 || frame->file[0] == 0)
        return frame->function;
    const char *slash = strrchr(frame->file, '/');
    snprintf(room, LABEL_SIZE, "%.255s:%u", slash ? slash + 1 : frame->file, frame->line);
    return room;
}

const char *label_created_by(const struct places *places, stack_id creation, char room[LABEL_SIZE])
{
    uintptr_t address;
    const struct symbol_frame *frame = origin(places, creation, &address);
    return frame ? frame->function : address_text(address, room);
}
