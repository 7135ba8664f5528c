// Strings of symbols: valid UTF-8, each kept once, in generations that turn with those of the
// symbol cache.

#pragma once

#include "profiler/base/intern.h"

#include <stdbool.h>
#include <stddef.h>

extern struct intern symbol_text_table;

// The kept copy of `length` bytes of text, ended by a NUL; what is no UTF-8 in them is replaced by
// U+FFFD, and what is very long is cut. "" for none, and when the room for strings is used up.
// Never NULL. Any thread; lock-free.
const char *symbol_text(const char *text, size_t length);

// As intern_is_due and intern_start_anew, and whether the old generation is still there. Under the
// lock of the symbol cache.
bool symbol_text_is_due(void);
bool symbol_text_has_old(void);
void symbol_text_start_anew(void);
