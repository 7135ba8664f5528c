#include "profiler/unwind/stack.h"

#include <string.h>

struct intern stack_table = INTERN_INIT(
    "stacks", "tasks of that time may lack their stack or their creator", (size_t)64 << 20);

static const struct stack no_stack;
static const struct stack not_kept = {.end = STACK_NOT_KEPT};

// The two sizes are functions of their own, never inlined, so that a creation stack, taken on a
// small stack of the application's, does not pay for the deep one's 4 KiB.
#define DEFINE_INTERN(name, max)                                                                \
    static __attribute__((noinline)) stack_id name(const uintptr_t *frames, unsigned depth,     \
                                                   unsigned end)                                \
    {                                                                                           \
        uintptr_t words[1 + (max)];                                                             \
        struct stack header = {.depth = depth, .end = end};                                     \
        _Static_assert(sizeof(header) == sizeof(words[0]), "frames follow the header at once"); \
        memcpy(words, &header, sizeof(header));                                                 \
        if (depth)                                                                              \
            memcpy(words + 1, frames, depth * sizeof(*frames));                                 \
        return intern(&stack_table, words, (1 + depth) * sizeof(words[0]));                     \
    }

DEFINE_INTERN(intern_shallow, STACK_CREATION_DEPTH)
DEFINE_INTERN(intern_deep, STACK_DEPTH_MAX)

stack_id stack_intern(const uintptr_t *frames, unsigned depth, unsigned end)
{
    if (depth > STACK_DEPTH_MAX) {
        depth = STACK_DEPTH_MAX;
        end |= STACK_TOO_DEEP;
    }
    return depth <= STACK_CREATION_DEPTH ? intern_shallow(frames, depth, end)
                                         : intern_deep(frames, depth, end);
}

const struct stack *stack_get(stack_id id)
{
    if (id == INTERN_FULL)
        return &not_kept;
    size_t length;
    const struct stack *stack = intern_get(&stack_table, id, &length);
    if (!stack || length < sizeof(*stack) ||
        length != sizeof(*stack) + stack->depth * sizeof(stack->frames[0]))
        return &no_stack;
    return stack;
}
