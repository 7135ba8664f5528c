// Whether a wait is on a described queue, and on which. See docs/channels-file.md for what has to
// come together. Only for the types thread.

#pragma once

#include "profiler/channels/inquiry.h"
#include "profiler/described/binaries.h"

enum evidence_result { EVIDENCE_NO, EVIDENCE_YES, EVIDENCE_LATER };

struct evidence {
    const struct layout *layout;
    uintptr_t base;
    enum inquiry_side side;
};

// What is asked, and the frames that are looked at, of code without DWARF too (the C library,
// wrappers): a copy, for this may get stuck in libdw's malloc, and must not hold on to a stack.
enum { EVIDENCE_FRAMES = 12 };
struct question {
    struct inquiry inquiry;
    unsigned depth;
    uintptr_t frames[EVIDENCE_FRAMES];
};

// EVIDENCE_LATER: the task went on while its stack was looked at.
enum evidence_result evidence_find(struct described_file *file, const struct question *question,
                                   struct evidence *ret);

// Forgets what was learned of code and stacks.
void evidence_forget(void);
