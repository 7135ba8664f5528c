// Copies of the unwind information of loaded files, made once each.

#pragma once

#include "profiler/unwind/cfi.h"
#include "profiler/unwind/picture.h"

// The sections of the file behind a mapping, copied out of its memory at the first call; valid
// until the next modules_prune. NULL: it has none, or there is no memory. The caller holds the
// rules' lock.
const struct cfi_sections *module_sections(const struct code_map *code);

// Frees the copies of files that are not mapped any more. Under the rules' lock.
void modules_prune(void);

// In the child of a fork: forgets all copies, one of which may be half made.
void modules_after_fork(void);
