// Where mappings end.

#pragma once

#include "profiler/unwind/picture.h"

// The end (first address behind) of the readable mapping, of any kind, that holds `address`; 0 if
// there is none.
static inline uintptr_t end_of_mapping(uintptr_t address)
{
    struct proc_map map;
    bool main_stack;
    return maps_line_of(address, &map, &main_stack) && map.readable ? map.limit : 0;
}
