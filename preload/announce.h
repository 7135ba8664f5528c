// What is printed: one line with the endpoint's address, or why there is none. Nothing else, ever.

#pragma once

// At the start, when stderr is what the program was started with.
void announce_address(void);
void announce_failure(void);

// In a forked child. Only on what is still the stderr of the start, or a pipe or a terminal: the
// application may have opened a file of its own under that number.
void announce_child(void);
