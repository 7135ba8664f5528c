#include "profiler/symbols/dwarf_step.h"

#include <stdatomic.h>

// Relaxed: whoever reads it only compares it with what it was.
static _Atomic uint64_t steps;

static bool (*after_step)(void);

void dwarf_step_then(bool (*go_on)(void))
{
    after_step = go_on;
}

bool dwarf_step(void)
{
    atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
    return !after_step || after_step();
}

uint64_t dwarf_step_progress(void)
{
    return atomic_load_explicit(&steps, memory_order_relaxed);
}
