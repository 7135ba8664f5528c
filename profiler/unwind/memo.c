#include "profiler/unwind/memo.h"

#include "profiler/base/hash.h"
#include "profiler/unwind/frame.h"
#include "profiler/unwind/memo_tree.h"
#include "profiler/unwind/picture.h"

uint32_t memo_branch(const struct memo *memo, uint32_t node, uintptr_t word)
{
    uint32_t found = table_get(&memo->branches, hash_mix(node, word));
    if (found == TABLE_NONE)
        return 0;
    // Two branches may share a hash.
    const struct memo_node *child = &memo->nodes[found];
    return child->parent == node && child->label == word ? found : 0;
}

FRAME_READS static inline __attribute__((always_inline)) uintptr_t
word_at(uint32_t where, const char *stack, const struct arch_regs *regs)
{
    uintptr_t less = where & MEMO_LESS_SP ? regs->sp : 0;
    uint32_t offset = where & MEMO_OFFSETS;
    if (__builtin_expect(where < MEMO_REGISTER, 1))
        // Acquire: as view_word.
        return __atomic_load_n((const uintptr_t *)(stack + offset), __ATOMIC_ACQUIRE) - less;
    if (where == MEMO_ALIGNMENT)
        return regs->sp % MEMO_ALIGN;
    uintptr_t word;
    memcpy(&word, (const char *)regs + offset, sizeof(word));
    return word - less;
}

static void remember_lines(struct memo *memo, uintptr_t pc, uint64_t lines)
{
    uint64_t *kept = &memo->lines[(pc ^ pc >> 6) % 64];
    if (*kept != lines)
        *kept = lines;
}

FRAME_READS stack_id memo_match(struct memo *memo, const struct arch_regs *regs,
                                const struct unwind_view *view)
{
    uintptr_t sp = regs->sp;
    if (!memo->count || memo->generation != maps_generation() || sp < view->low ||
        sp > view->high || sp % sizeof(uintptr_t))
        return 0;
    const char *stack = view->copy ? (const char *)view->copy + (sp - view->low) : (char *)sp;
    // Less than the reach of a node without a word.
    size_t room = view->high - sp < UINT32_MAX ? view->high - sp : UINT32_MAX - 1;
    struct memo_node *node = &memo->nodes[MEMO_ROOT];
    while (node->where != MEMO_STACK) {
        uint32_t number = (uint32_t)(node - memo->nodes);
        if (__builtin_expect(room < node->reach, 0)) {
            // The top of a copy is not that of the stack.
            uint32_t end = view->copy ? 0 : memo_branch(memo, number | MEMO_TOP, room);
            if (!end)
                return 0;
            node = &memo->nodes[end];
            continue;
        }
        uintptr_t word = word_at(node->where, stack, regs);
        if (node->value != word) {
            uint32_t next = memo_branch(memo, number, word);
            if (!next)
                return 0;
            // Most stacks are like the one before.
            node->value = word;
            node->next = next;
        }
        node = &memo->nodes[node->next];
    }
    remember_lines(memo, regs->pc, node->value);
    return node->next;
}
