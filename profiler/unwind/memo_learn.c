// An unwind that is repeated to see what it depended on.

#include "profiler/base/memory.h"
#include "profiler/unwind/frame.h"
#include "profiler/unwind/memo_tree.h"
#include "profiler/unwind/picture.h"
#include "profiler/unwind/rules.h"

#include <string.h>

enum { LINE = 64, LINES = 64, FAR = 1 << 28 };

// Where a word is that was read, as in memo_node.
struct where {
    uint32_t offset;
    bool in_registers;
    bool less_sp;
};

struct lesson {
    const struct unwind_view *view;
    struct memo *memo;
    struct memo_node *node; // reached so far
    uint32_t reach;         // bytes above `start` that the unwind needed
    uint64_t lines;         // of these, which cache lines it read
    uintptr_t start;        // sp of the leaf
    uintptr_t sp;
    uintptr_t saved[ARCH_SAVED];
    struct where source[ARCH_SAVED]; // where each came from
};

static struct memo_node *new_node(struct memo *memo)
{
    if (memo->count == MEMO_NODES)
        return NULL;
    struct memo_node *node = &memo->nodes[memo->count++];
    *node = (struct memo_node){.reach = MEMO_NO_WORD};
    return node;
}

static bool put_branch(struct memo *memo, uint64_t key, const struct memo_node *to)
{
    return table_put(&memo->branches, key, (uint32_t)(to - memo->nodes));
}

// Makes a node one of several branches, with the one that it has.
static bool make_fork(struct memo *memo, struct memo_node *node)
{
    if (node->fork)
        return true;
    if (memo->forks + 1 >= MEMO_FORKS)
        return false;
    node->fork = (uint16_t)++memo->forks;
    return !node->next || put_branch(memo, memo_word_key(node, node->value), node->next);
}

static struct memo_node *branch(struct memo *memo, uint64_t key)
{
    uint32_t found = table_get(&memo->branches, key);
    if (found != TABLE_NONE)
        return &memo->nodes[found];
    struct memo_node *fresh = new_node(memo);
    return fresh && put_branch(memo, key, fresh) ? fresh : NULL;
}

// The unwind read this next. false: it can't be kept.
static bool depend(struct lesson *lesson, struct where where, uintptr_t value)
{
    struct memo *memo = lesson->memo;
    struct memo_node *node = lesson->node;
    uintptr_t word = where.less_sp ? value - lesson->start : value;
    if (word >> MEMO_WORD_BITS || node->stack)
        return false;
    bool first = !node->next;
    if (first) {
        node->offset = where.offset;
        node->in_registers = where.in_registers;
        node->less_sp = where.less_sp;
        node->reach = lesson->reach;
    }
    // Who read the same so far reads the same next, unless a rule was compiled differently.
    if (node->offset != where.offset || node->in_registers != where.in_registers ||
        node->less_sp != where.less_sp || node->reach != lesson->reach)
        return false;
    struct memo_node *next = node->next;
    if (first && !node->fork)
        next = new_node(memo);
    else if (first || node->value != word)
        next = make_fork(memo, node) ? branch(memo, memo_word_key(node, word)) : NULL;
    if (!next) {
        if (first)
            node->reach = MEMO_NO_WORD;
        return false;
    }
    node->value = word;
    node->next = next;
    lesson->node = next;
    return true;
}

// The stack ended before what was to be read next.
static bool depend_on_top(struct lesson *lesson)
{
    struct memo *memo = lesson->memo;
    uintptr_t room = lesson->view->high - lesson->start;
    struct memo_node *next = NULL;
    if (!lesson->node->stack && room < MEMO_NO_WORD && make_fork(memo, lesson->node))
        next = branch(memo, memo_top_key(lesson->node, room));
    lesson->node = next;
    return next;
}

static void reach(struct lesson *lesson, uintptr_t address)
{
    if (address - lesson->start > lesson->reach)
        lesson->reach = (uint32_t)(address - lesson->start);
}

// Reads a word of the stack; *ret_where is its offset. false: outside the view.
FRAME_READS static bool load(struct lesson *lesson, uintptr_t address, uintptr_t *ret,
                             struct where *ret_where)
{
    uintptr_t offset = address - lesson->start;
    if (address < lesson->start || offset > FAR - sizeof(uintptr_t) ||
        !view_load(lesson->view, address, ret))
        return false;
    *ret_where = (struct where){.offset = (uint32_t)offset};
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
        struct where where = lesson->source[rule->base];
        where.less_sp = true;
        if (!depend(lesson, where, base))
            return false;
    }
    if (frame_at_the_top(rule, base, lesson->view, lesson->sp)) {
        *ret_pc = 0;
        return depend_on_top(lesson);
    }
    uintptr_t cfa = base + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (cfa <= lesson->sp || cfa % ARCH_STACK_ALIGN || cfa > lesson->view->high ||
        cfa - lesson->start > FAR)
        return false;
    struct where where;
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
    if (!memo->nodes)
        return false;
    // Two nodes a frame at most, and two.
    uint32_t wanted = 2 * depth + 2;
    if (!memo->count || memo->generation != generation || memo->count + wanted > MEMO_NODES ||
        memo->forks + wanted > MEMO_FORKS) {
        table_clear(&memo->branches);
        memo->forks = 0;
        memo->count = 0;
        while (memo->count < MEMO_ROOTS)
            new_node(memo);
    }
    memo->generation = generation;
    return true;
}

static struct where in_register(size_t offset)
{
    return (struct where){.offset = (uint32_t)offset, .in_registers = true};
}

void memo_learn(struct memo *memo, const struct arch_regs *regs, const struct unwind_view *view,
                stack_id id)
{
    const struct stack *stack = stack_get(id);
    if (stack->end != STACK_WHOLE || !stack->depth || !begin(memo, stack->depth))
        return;
    struct lesson lesson = {.view = view,
                            .memo = memo,
                            .node = &memo->nodes[memo_root(regs->sp)],
                            .start = regs->sp,
                            .sp = regs->sp};
    for (unsigned i = 0; i < ARCH_SAVED; i++) {
        lesson.saved[i] = regs->saved[i];
        lesson.source[i] =
            in_register(offsetof(struct arch_regs, saved) + i * sizeof(regs->saved[i]));
    }
    if (!depend(&lesson, in_register(offsetof(struct arch_regs, pc)), regs->pc) ||
        !learn(&lesson, stack))
        return;
    struct memo_node *leaf = lesson.node;
    if (!leaf->next && !leaf->stack) {
        leaf->stack = id;
        leaf->value = lesson.lines;
    }
}

void memo_forget(struct memo *memo)
{
    memory_unmap(memo->nodes, MEMO_NODES * sizeof(*memo->nodes));
    table_release(&memo->branches);
    *memo = (struct memo){0};
}
