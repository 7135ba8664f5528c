// Strings of symbols: valid UTF-8, each kept once, for ever.

#pragma once

#include <stddef.h>

// The kept copy of `length` bytes of text, ended by a NUL; what is no UTF-8 in them is replaced by
// U+FFFD, and what is very long is cut. "" for none, and when the room for strings is used up.
// Never NULL. Any thread; lock-free.
const char *symbol_text(const char *text, size_t length);
