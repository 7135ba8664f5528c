// A symbol put together from what symbol tables and DWARF say.

#pragma once

#include "profiler/symbols/symbol_cache.h"

// What the symbol table alone says of a return address. `module` may be NULL. Any thread, no
// malloc.
void symbol_draft_names(const struct symbol_module *module, uintptr_t address,
                        struct symbol_draft *ret);

// The same with DWARF, if it knows the address. The DWARF thread alone; the module's is open.
void symbol_draft_lines(const struct symbol_module *module, uintptr_t address,
                        struct symbol_draft *ret);
