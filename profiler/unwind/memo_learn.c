// An unwind that is repeated to see what it depended on.

#include "profiler/base/hash.h"
#include "profiler/base/memory.h"
#include "profiler/unwind/frame.h"
#include "profiler/unwind/memo_tree.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/rules.h"

#include <string.h>

enum { LINE = 64, LINES = 64, FAR = 1 << 28 };

struct lesson {
    const struct unwind_view *view;
    struct memo *memo;
    uint32_t node;   // reached so far
    uint32_t reach;  // bytes above `start` that the unwind needed
    uint64_t lines;  // of these, which cache lines it read
    uintptr_t start; // sp of the leaf
    uintptr_t sp;
    uintptr_t saved[ARCH_SAVED];
    struct memo_where source[ARCH_SAVED]; // where each came from
};

static uint32_t new_node(struct memo *memo, uint32_t from, uintptr_t word)
{
    uint32_t number = memo->count;
    if (number == MEMO_NODES || !table_put(&memo->branches, hash_mix(from, word), number))
        return 0;
    memo->nodes[number] = (struct memo_node){.reach = MEMO_NO_WORD};
    memo->labels[number] = (struct memo_label){.word = word, .from = from};
    memo->count++;
    return number;
}

// To the node behind this word. false: no room for it.
static bool follow(struct lesson *lesson, uint32_t from, uintptr_t word)
{
    uint32_t next = memo_branch(lesson->memo, from, word);
    if (!next)
        next = new_node(lesson->memo, from, word);
    lesson->node = next;
    return next;
}

// The unwind read this next. false: it can't be kept.
static bool depend(struct lesson *lesson, struct memo_where where, uintptr_t value)
{
    uint32_t number = lesson->node;
    struct memo_node *node = &lesson->memo->nodes[number];
    uintptr_t word = where.less_sp ? value - lesson->start : value;
    if (node->reach == MEMO_NO_WORD && !node->stack) {
        node->where = where;
        node->reach = lesson->reach;
    }
    // Who read the same so far reads the same next, unless a rule was compiled differently.
    if (memcmp(&node->where, &where, sizeof(where)) != 0 || node->reach != lesson->reach ||
        !follow(lesson, number, word))
        return false;
    node->value = word;
    node->next = &lesson->memo->nodes[lesson->node];
    return true;
}

static void reach(struct lesson *lesson, uintptr_t address)
{
    if (address - lesson->start > lesson->reach)
        lesson->reach = (uint32_t)(address - lesson->start);
}

// Reads a word of the stack; *ret_where is its offset. false: outside the view.
FRAME_READS static bool load(struct lesson *lesson, uintptr_t address, uintptr_t *ret,
                             struct memo_where *ret_where)
{
    uintptr_t offset = address - lesson->start;
    if (address < lesson->start || offset > FAR - sizeof(uintptr_t) ||
        !view_load(lesson->view, address, ret))
        return false;
    *ret_where = (struct memo_where){.offset = (uint32_t)offset};
    reach(lesson, address + sizeof(uintptr_t));
    uintptr_t line = address / LINE - lesson->start / LINE;
    if (line < LINES)
        lesson->lines |= (uint64_t)1 << line;
    return true;
}

// One step; *ret_pc is the caller's, 0 when there is none. false: it depends on more than is kept.
static bool learn_step(struct lesson *lesson, const struct rule *rule, uintptr_t *ret_pc)
{
    if (rule->flags & (RULE_ROW | RULE_POINTER | RULE_SIGNAL | RULE_RA_IN_REGISTER) || rule->lost)
        return false;
    uintptr_t base = lesson->sp;
    if (rule->base != RULE_BASE_SP) {
        base = lesson->saved[rule->base];
        struct memo_where where = lesson->source[rule->base];
        where.less_sp = 1;
        if (!depend(lesson, where, base))
            return false;
    }
    if (frame_at_the_top(rule, base, lesson->view, lesson->sp)) {
        *ret_pc = 0;
        return follow(lesson, lesson->node | MEMO_TOP, lesson->view->high - lesson->start);
    }
    uintptr_t cfa = base + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (cfa <= lesson->sp || cfa % ARCH_STACK_ALIGN || cfa > lesson->view->high ||
        cfa - lesson->start > FAR)
        return false;
    struct memo_where where;
    if (!load(lesson, cfa + (uintptr_t)(intptr_t)rule->ra_offset, ret_pc, &where))
        return false;
    for (unsigned i = 0; i < ARCH_SAVED; i++)
        if (rule->stored >> i & 1 && !load(lesson, cfa + (uintptr_t)(intptr_t)rule->offsets[i],
                                           &lesson->saved[i], &lesson->source[i]))
            return false;
    reach(lesson, cfa);
    lesson->sp = cfa;
    uintptr_t word = *ret_pc;
    *ret_pc = arch_code_address(word);
    return depend(lesson, where, word);
}

static bool learn(struct lesson *lesson, const struct stack *stack)
{
    for (unsigned i = 0; i < stack->depth; i++) {
        struct rule rule;
        uintptr_t pc;
        bool last = i + 1 == stack->depth;
        if (rules_find(stack->frames[i] - 1, &rule) < 0)
            return false;
        if (rule.flags & RULE_OUTERMOST)
            return last;
        // What does not come out as it did has changed meanwhile.
        if (!learn_step(lesson, &rule, &pc) || pc != (last ? 0 : stack->frames[i + 1]))
            return false;
    }
    return true;
}

// Room for the tree, for the code that is mapped now.
static bool begin(struct memo *memo, unsigned depth)
{
    uint32_t generation = maps_generation();
    if (!memo->nodes)
        memo->nodes = memory_map(MEMO_NODES * sizeof(*memo->nodes));
    if (!memo->labels)
        memo->labels = memory_map(MEMO_NODES * sizeof(*memo->labels));
    if (!memo->nodes || !memo->labels)
        return false;
    // Two nodes a frame at most, and a few.
    if (!memo->count || memo->generation != generation ||
        memo->count + 2 * depth + MEMO_ROOTS + 2 > MEMO_NODES) {
        table_clear(&memo->branches);
        for (memo->count = 0; memo->count < MEMO_ROOTS; memo->count++)
            memo->nodes[memo->count] = (struct memo_node){.reach = MEMO_NO_WORD};
    }
    memo->generation = generation;
    return true;
}

static struct memo_where in_register(size_t offset)
{
    return (struct memo_where){.offset = (uint32_t)offset, .in_registers = 1};
}

void memo_learn(struct memo *memo, const struct arch_regs *regs, const struct unwind_view *view,
                stack_id id)
{
    const struct stack *stack = stack_get(id);
    if (stack->end != STACK_WHOLE || !stack->depth || !begin(memo, stack->depth))
        return;
    struct lesson lesson = {
        .view = view, .memo = memo, .node = memo_root(regs->sp), .start = regs->sp, .sp = regs->sp};
    for (unsigned i = 0; i < ARCH_SAVED; i++) {
        lesson.saved[i] = regs->saved[i];
        lesson.source[i] =
            in_register(offsetof(struct arch_regs, saved) + i * sizeof(regs->saved[i]));
    }
    if (!depend(&lesson, in_register(offsetof(struct arch_regs, pc)), regs->pc) ||
        !learn(&lesson, stack))
        return;
    struct memo_node *leaf = &memo->nodes[lesson.node];
    if (leaf->reach == MEMO_NO_WORD && !leaf->stack) {
        leaf->stack = id;
        leaf->value = lesson.lines;
    }
}

void memo_forget(struct memo *memo)
{
    memory_unmap(memo->nodes, MEMO_NODES * sizeof(*memo->nodes));
    memory_unmap(memo->labels, MEMO_NODES * sizeof(*memo->labels));
    table_release(&memo->branches);
    *memo = (struct memo){0};
}
