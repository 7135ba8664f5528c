#include "profiler/unwind/memo.h"

#include "profiler/base/hash.h"
#include "profiler/unwind/frame.h"
#include "profiler/unwind/memo_tree.h"
#include "profiler/unwind/picture.h"

uint32_t memo_branch(const struct memo *memo, uint32_t from, uintptr_t word)
{
    uint32_t found = table_get(&memo->branches, hash_mix(from, word));
    if (found == TABLE_NONE)
        return 0;
    // Two branches may share a hash.
    const struct memo_label *label = &memo->labels[found];
    return label->from == from && label->word == word ? found : 0;
}

// The node behind a word that is not the one met last; most stacks are like the one before.
static __attribute__((noinline)) const struct memo_node *turn(struct memo *memo, uint32_t number,
                                                              uintptr_t word)
{
    uint32_t next = memo_branch(memo, number, word);
    if (!next)
        return NULL;
    struct memo_node *node = &memo->nodes[number];
    node->value = word;
    node->next = &memo->nodes[next];
    return node->next;
}

static const struct memo_node *top(const struct memo *memo, uint32_t number,
                                   const struct unwind_view *view, size_t room)
{
    // The top of a copy is not that of the stack.
    uint32_t end = view->copy ? 0 : memo_branch(memo, number | MEMO_TOP, room);
    return end ? &memo->nodes[end] : NULL;
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
    const struct memo_node *node = &memo->nodes[memo_root(sp)];
    while (node) {
        if (__builtin_expect(room < node->reach, 0)) {
            if (node->stack)
                break;
            node = top(memo, (uint32_t)(node - memo->nodes), view, room);
            continue;
        }
        // Acquire: as view_word.
        uintptr_t word = __atomic_load_n((const uintptr_t *)(places[node->where.in_registers] +
                                                             node->where.offset),
                                         __ATOMIC_ACQUIRE) -
                         less[node->where.less_sp];
        node = __builtin_expect(node->value == word, 1)
                   ? node->next
                   : turn(memo, (uint32_t)(node - memo->nodes), word);
    }
    if (!node)
        return 0;
    uint64_t *lines = memo_lines(memo, regs->pc);
    if (*lines != node->value)
        *lines = node->value;
    return node->stack;
}
