// What the command says when it can't do what it is asked.

#pragma once

// Exit codes, as env(1) and timeout(1) have them; any other is the started program's own.
enum {
    EXIT_OURS = 125,           // the command itself could not
    EXIT_NOT_EXECUTABLE = 126, // the program is there, and can't be started
    EXIT_NOT_FOUND = 127,
};

// One line on stderr: "taskprof: ", the text, a newline.
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
