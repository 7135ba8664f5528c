// Names of threads as the kernel has them, kept from one dump to the next: opening and reading a
// file in /proc for each of ten thousand threads takes longer than all the rest of their dump.
//
// Any thread may call; one lock guards all.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <taskprof/task.h>

// A dump of tasks begins: what was not asked for in the last one is forgotten.
void thread_names_begin(void);

// The name that was noted for this task (by id) with this very stamp. false: none, or it is this
// task's turn to be read anew. The stamp says what the name belongs to: while a thread has not run
// (same park, by seq), it did not rename itself. That another thread may have done so is why each
// name that was not noted in this dump has its turn in one of THREAD_NAMES_TURNS.
enum { THREAD_NAMES_TURNS = 16 };
bool thread_names_find(uint64_t id, uint64_t stamp, char into[TASKPROF_NAME_SIZE]);

// Notes a name. Out of memory, it is forgotten.
void thread_names_note(uint64_t id, uint64_t stamp, const char name[TASKPROF_NAME_SIZE]);

void thread_names_after_fork(void);
