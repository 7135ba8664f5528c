// What the programs here share: scenarios that end in target_park, which unwinds the calling
// thread, prints what it found, and blocks so that another unwinder can look at the same stack.
//
// Output: "thread TID", then a return address a line (the caller of target_park's first), then
// "end N". The program ends when its standard input does.

#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct scenario {
    const char *name;
    void (*run)(int depth);
};

void target_park(void);

// Runs the scenario argv[1] with the depth argv[2] on a thread of its own.
int target_main(const struct scenario *scenarios, int argc, char **argv);

#ifdef __cplusplus
}
#endif
