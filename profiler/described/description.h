// A line of the file that TASKPROF_CHANNELS names: a type of queue, described by its own fields.
//
//     chan_t  len=queue->size cap=queue->capacity closed=closed recv=r_cond send=w_cond
//
// Only the line's text is understood here; whether the program has such a type and such fields is
// for layout.h. No memory is allocated.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <taskprof/queue.h>

enum {
    PATH_STEPS_MAX = 8,
    PATH_NAME_MAX = 64,
    TYPE_NAME_MAX = 128,
    PROBLEM_MAX = 512, // bytes of a message, its NUL among them
};

enum path_step_kind {
    STEP_FIELD, // the first name of a path, and each behind "."
    STEP_ARROW, // each behind "->"
    STEP_INDEX, // [N]
};

struct path_step {
    enum path_step_kind kind;
    uint32_t index;
    char name[PATH_NAME_MAX];
};

// "queue->slots[0].size"
struct path {
    unsigned count; // 0: not described
    struct path_step steps[PATH_STEPS_MAX];
};

enum path_role {
    ROLE_LENGTH,
    ROLE_CAPACITY,
    ROLE_CLOSED,
    ROLE_NAME,
    ROLE_RECEIVE,
    ROLE_SEND = ROLE_RECEIVE + TASKPROF_QUEUE_WAITS,
    ROLES = ROLE_SEND + TASKPROF_QUEUE_WAITS
};

struct description {
    unsigned line;            // of the file, from 1
    bool tag_only;            // "struct NAME": a typedef of that name is not meant
    char type[TYPE_NAME_MAX]; // "chan_t", "ns::queue"
    int64_t capacity;         // of a number for cap=; else TASKPROF_UNKNOWN
    struct path paths[ROLES];
};

enum description_result { DESCRIPTION_NONE, DESCRIPTION_READ, DESCRIPTION_BAD };

// Reads a line, without its end. DESCRIPTION_NONE: blank, or a comment. DESCRIPTION_BAD: `problem`
// says what is wrong and what would be right, in printable ASCII; *ret is then undefined.
enum description_result description_parse(const char *text, size_t length, unsigned line,
                                          struct description *ret, char problem[PROBLEM_MAX]);

// The key that a role was described with: "len", "recv", …
const char *description_key(enum path_role role);

// A path up to and with its step `last`, as it was written.
void description_path_text(const struct path *path, unsigned last, char *into, size_t size);
