#include "proto/places.h"

#include "profiler/symbols/origin.h"

#include <errno.h>

static uint32_t add_address(struct places *places, uintptr_t address)
{
    uint32_t place = table_get(&places->by_address, address);
    if (place != TABLE_NONE)
        return place;
    place = (uint32_t)(places->addresses.length / sizeof(address));
    buffer_append(&places->addresses, &address, sizeof(address));
    if (!places->addresses.failed && !table_put(&places->by_address, address, place))
        places->addresses.failed = true;
    return place;
}

void places_add_stack(struct places *places, stack_id id)
{
    if (places_stack(places, id))
        return;
    const struct stack *stack = stack_get(id);
    struct place_stack entry = {
        .id = id,
        .first = (uint32_t)(places->frames.length / sizeof(uint32_t)),
        .depth = stack->depth,
        .truncated = stack->end != STACK_WHOLE,
    };
    uint32_t *frames = (uint32_t *)buffer_reserve(&places->frames, stack->depth * sizeof(*frames));
    for (uint32_t i = 0; frames && i < stack->depth; i++)
        frames[i] = add_address(places, stack->frames[i]);
    if (frames)
        places->frames.length += stack->depth * sizeof(*frames);
    uint32_t number = (uint32_t)(places->stacks.length / sizeof(entry));
    buffer_append(&places->stacks, &entry, sizeof(entry));
    places->any_truncated |= entry.truncated;
    places->any_unknown |= entry.depth == 0;
    if (places->stacks.failed || places->frames.failed || !table_put(&places->by_stack, id, number))
        places->addresses.failed = true;
}

void places_seal(struct places *places)
{
    places->locations = (uint32_t)(places->addresses.length / sizeof(uintptr_t));
}

void places_add_origin(struct places *places, stack_id id)
{
    const struct stack *stack = stack_get(id);
    for (uint32_t i = 0; i < stack->depth && i < ORIGIN_DEPTH; i++)
        add_address(places, stack->frames[i]);
}

int places_resolve(struct places *places)
{
    if (places->addresses.failed)
        return -ENOMEM;
    places->symbol_count = places->addresses.length / sizeof(uintptr_t);
    if (places->symbol_count == 0)
        return 0;
    places->symbols = memory_map(places->symbol_count * sizeof(const struct symbol *));
    if (!places->symbols)
        return -ENOMEM;
    // Whatever it returns: what has no name is shown by its address.
    symbols_resolve((const uintptr_t *)places->addresses.data, places->symbol_count,
                    places->symbols);
    return 0;
}

const struct place_stack *places_stack(const struct places *places, stack_id id)
{
    uint32_t number = table_get(&places->by_stack, id);
    return number == TABLE_NONE ? NULL : (const struct place_stack *)places->stacks.data + number;
}

const uint32_t *places_frames(const struct places *places, const struct place_stack *stack)
{
    return (const uint32_t *)places->frames.data + stack->first;
}

uintptr_t places_address(const struct places *places, uint32_t place)
{
    return ((const uintptr_t *)places->addresses.data)[place];
}

const struct symbol *places_symbol(const struct places *places, uint32_t place)
{
    return place < places->symbol_count ? places->symbols[place] : NULL;
}

const struct symbol *places_symbol_at(const struct places *places, uintptr_t address)
{
    uint32_t place = table_get(&places->by_address, address);
    return place == TABLE_NONE ? NULL : places_symbol(places, place);
}

void places_release(struct places *places)
{
    table_release(&places->by_address);
    table_release(&places->by_stack);
    buffer_release(&places->addresses);
    buffer_release(&places->stacks);
    buffer_release(&places->frames);
    memory_unmap(places->symbols, places->symbol_count * sizeof(const struct symbol *));
    *places = (struct places){0};
}
