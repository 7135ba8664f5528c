// What is wrong with the file that describes queues, for the dumps.

#pragma once

#include "profiler/base/memory.h"
#include "profiler/described/description.h"

// Kept apart, because misfits change when code is loaded later.
enum problem_kind {
    PROBLEM_LINE,   // of the file's text
    PROBLEM_MISFIT, // of a description that fits no type
    PROBLEM_KINDS
};

// Forgets all; from now on they are about this file. -ENOMEM.
int problems_begin(const char *path);
// There is no file any more.
void problems_end(void);

// `line` 0: of the file as a whole. Beyond 64 of a kind they are counted alone.
void problems_add(enum problem_kind kind, unsigned line, const char *text);
void problems_forget(enum problem_kind kind);

// Whether the program's types are still being looked for.
void problems_reading(bool reading);

// Each as a line of printable text: `prefix`, then "FILE:LINE: " and what is wrong. Nothing when
// all is well. Any thread.
void problems_write(struct buffer *out, const char *prefix);

void problems_after_fork(void);
