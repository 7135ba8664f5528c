// Errors as text.

#pragma once

enum { ERRORS_TEXT_MAX = 512 };

// The text of the calling thread's last taskprof_start or taskprof_write that failed: "" if none
// did. Room for ERRORS_TEXT_MAX bytes, valid as long as the thread.
char *errors_last(void);

// Sets it.
void errors_set(const char *format, ...) __attribute__((format(printf, 1, 2)));
