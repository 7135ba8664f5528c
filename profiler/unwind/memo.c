#include "profiler/unwind/memo.h"

#include "profiler/unwind/frame.h"
#include "profiler/unwind/memo_tree.h"
#include "profiler/unwind/picture.h"

// The node behind a word that is not the one met last. Most stacks are like the one before.
static __attribute__((noinline)) struct memo_node *turn(const struct memo *memo,
                                                        struct memo_node *node, uintptr_t word)
{
    if (!node->fork || word >> MEMO_WORD_BITS)
        return NULL;
    uint32_t found = table_get(&memo->branches, memo_word_key(node, word));
    if (found == TABLE_NONE)
        return NULL;
    node->value = word;
    node->next = &memo->nodes[found];
    return node->next;
}

static struct memo_node *top(const struct memo *memo, const struct memo_node *node,
                             const struct unwind_view *view, size_t room)
{
    // The top of a copy is not that of the stack.
    if (!node->fork || view->copy)
        return NULL;
    uint32_t found = table_get(&memo->branches, memo_top_key(node, room));
    return found == TABLE_NONE ? NULL : &memo->nodes[found];
}

FRAME_READS stack_id memo_match(struct memo *memo, const struct arch_regs *regs,
                                const struct unwind_view *view)
{
    uintptr_t sp = regs->sp;
    if (!memo->count || memo->generation != maps_generation() || sp < view->low ||
        sp > view->high || sp % sizeof(uintptr_t))
        return 0;
    const char *const places[] = {
        view->copy ? (const char *)view->copy + (sp - view->low) : (const char *)sp,
        (const char *)regs,
    };
    const uintptr_t less[] = {0, sp};
    size_t room = view->high - sp < MEMO_NO_WORD ? view->high - sp : MEMO_NO_WORD - 1;
    struct memo_node *node = &memo->nodes[memo_root(sp)];
    while (node) {
        if (__builtin_expect(room < node->reach, 0)) {
            if (node->stack)
                break;
            node = top(memo, node, view, room);
            continue;
        }
        // Acquire: as view_word.
        uintptr_t word =
            __atomic_load_n((const uintptr_t *)(places[node->in_registers] + node->offset),
                            __ATOMIC_ACQUIRE) -
            less[node->less_sp];
        node = __builtin_expect(node->value == word, 1) ? node->next : turn(memo, node, word);
    }
    if (!node)
        return 0;
    uint64_t *lines = memo_lines(memo, regs->pc);
    if (*lines != node->value)
        *lines = node->value;
    return node->stack;
}
