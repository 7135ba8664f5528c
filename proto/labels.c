#include "proto/labels.h"

static struct origin origin(const struct places *places, stack_id creation)
{
    const struct stack *stack = stack_get(creation);
    const struct symbol *symbols[ORIGIN_DEPTH];
    uint32_t count = 0;
    for (; count < stack->depth && count < ORIGIN_DEPTH; count++)
        symbols[count] = places_symbol_at(places, stack->frames[count]);
    return origin_choose(stack->frames, symbols, count);
}

const char *label_channel(const struct places *places, const char *name, stack_id creation,
                          char room[ORIGIN_PLACE_MAX])
{
    if (name[0])
        return name;
    struct origin made = origin(places, creation);
    const char *place = origin_place(&made, room);
    return place ? place : "unnamed";
}

const char *label_created_by(const struct places *places, stack_id creation,
                             char room[ORIGIN_PLACE_MAX])
{
    struct origin creator = origin(places, creation);
    return creator.frame->function[0] ? creator.frame->function : origin_place(&creator, room);
}
