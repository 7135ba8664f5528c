// What the unwinder knows of each mapping besides what maps.h tells everybody.

#pragma once

#include "profiler/base/intern.h"
#include "profiler/unwind/image.h"
#include "profiler/unwind/maps.h"
#include "profiler/unwind/proc_maps.h"

#include <stdatomic.h>

extern struct intern maps_paths; // of all mappings

struct code_map {
    struct mapping mapping;
    struct image_range eh_frame_hdr;
    struct image_range eh_frame;
};

// The executable mapping that holds `address`, as maps_find.
bool maps_code(uintptr_t address, struct code_map *ret);

// Goes up whenever code that was in the picture is gone or is something else: what was derived from
// the picture of an older generation may be wrong. Read it before looking at the picture.
// Inline: it is read for every frame.
extern _Atomic uint32_t maps_current_generation;
static inline uint32_t maps_generation(void)
{
    // Acquire: pairs with the release in maps.c's put_picture.
    return atomic_load_explicit(&maps_current_generation, memory_order_acquire);
}

// Lets the generation go up: nothing that was derived is to be used any more.
void maps_forget_derived(void);

// The mapping of any kind that holds `address`, read from /proc/self/maps; ret->path is NULL.
// *ret_main_stack tells whether it is the main thread's stack.
bool maps_line_of(uintptr_t address, struct proc_map *ret, bool *ret_main_stack);
