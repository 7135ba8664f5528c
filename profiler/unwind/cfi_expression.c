// DWARF expressions, those of them that call frame information uses: PLT stubs, signal trampolines,
// functions that align their stack.

#include "profiler/unwind/dwarf_constants.h"
#include "profiler/unwind/frame.h"

#include <errno.h>

// Jumps make loops possible: an expression that is still running after this many operations is
// nobody's.
enum { STACK_SIZE = 32, OPERATIONS_MAX = 512 };

struct evaluation {
    struct cursor cursor;
    const uint8_t *start;
    const struct frame *frame;
    const struct unwind_view *view;
    uint64_t stack[STACK_SIZE];
    unsigned depth;
    int error; // the first one; operations after it do nothing that matters
};

bool frame_register(const struct frame *frame, uint64_t dwarf, uintptr_t *ret)
{
    int index = arch_saved_index(dwarf);
    if (index >= 0) {
        *ret = frame->regs.saved[index];
        return frame->known >> index & 1;
    }
    *ret = dwarf == ARCH_DWARF_SP ? frame->regs.sp : frame->regs.pc;
    return dwarf == ARCH_DWARF_SP || dwarf == ARCH_DWARF_RA;
}

static void fail(struct evaluation *e, int error)
{
    if (!e->error)
        e->error = error;
}

static void push(struct evaluation *e, uint64_t value)
{
    if (e->depth == STACK_SIZE)
        fail(e, -EINVAL);
    else
        e->stack[e->depth++] = value;
}

static uint64_t pop(struct evaluation *e)
{
    if (e->depth)
        return e->stack[--e->depth];
    fail(e, -EINVAL);
    return 0;
}

// The entry `below` the top of the stack.
static uint64_t peek(struct evaluation *e, uint64_t below)
{
    if (below < e->depth)
        return e->stack[e->depth - 1 - below];
    fail(e, -EINVAL);
    return 0;
}

static void push_register(struct evaluation *e, uint64_t dwarf)
{
    uintptr_t value;
    if (!frame_register(e->frame, dwarf, &value)) {
        fail(e, -ENODATA);
        return;
    }
    push(e, value + (uint64_t)cursor_sleb128(&e->cursor));
}

// Reads `size` bytes at an address; the word around them is what is read.
static void dereference(struct evaluation *e, uint64_t size)
{
    uint64_t address = pop(e);
    uint64_t within = address % sizeof(uintptr_t);
    uintptr_t word;
    if (size == 0 || size > sizeof(word) || within + size > sizeof(word) ||
        !view_load(e->view, address - within, &word)) {
        fail(e, -EINVAL);
        return;
    }
    word >>= within * 8;
    push(e, size == sizeof(word) ? word : word & (((uint64_t)1 << size * 8) - 1));
}

static void jump(struct evaluation *e, bool taken)
{
    int64_t delta = cursor_signed(&e->cursor, 2);
    if (!taken || e->cursor.failed)
        return;
    ptrdiff_t at = e->cursor.at - e->start;
    if (delta < -at || delta > e->cursor.end - e->cursor.at)
        fail(e, -EINVAL);
    else
        e->cursor.at += delta;
}

static bool is_comparison(uint8_t op)
{
    return op >= DW_OP_eq && op <= DW_OP_ne;
}

static bool compare(uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case DW_OP_eq:
        return a == b;
    case DW_OP_ge:
        return a >= b;
    case DW_OP_gt:
        return a > b;
    case DW_OP_le:
        return a <= b;
    case DW_OP_lt:
        return a < b;
    default: // DW_OP_ne
        return a != b;
    }
}

static bool is_arithmetic(uint8_t op)
{
    return op == DW_OP_and || (op >= DW_OP_div && op <= DW_OP_mul) || op == DW_OP_or ||
           op == DW_OP_plus || (op >= DW_OP_shl && op <= DW_OP_xor);
}

// Division is signed and has no 0 to divide by, a remainder is unsigned and has none either.
static uint64_t calculate(uint8_t op, uint64_t a, uint64_t b)
{
    switch (op) {
    case DW_OP_and:
        return a & b;
    case DW_OP_div: // the smallest number by -1 has no result, and would trap
        return (int64_t)b == -1 ? -a : (uint64_t)((int64_t)a / (int64_t)b);
    case DW_OP_minus:
        return a - b;
    case DW_OP_mod:
        return a % b;
    case DW_OP_mul:
        return a * b;
    case DW_OP_or:
        return a | b;
    case DW_OP_plus:
        return a + b;
    case DW_OP_shl:
        return b < 64 ? a << b : 0;
    case DW_OP_shr:
        return b < 64 ? a >> b : 0;
    case DW_OP_shra:
        return (uint64_t)((int64_t)a >> (b < 64 ? b : 63));
    default: // DW_OP_xor
        return a ^ b;
    }
}

// The operations with two operands. false: `op` is none of them.
static bool run_binary(struct evaluation *e, uint8_t op)
{
    if (!is_comparison(op) && !is_arithmetic(op))
        return false;
    uint64_t b = pop(e);
    uint64_t a = pop(e);
    if ((op == DW_OP_div || op == DW_OP_mod) && b == 0)
        fail(e, -EINVAL);
    else if (is_comparison(op))
        push(e, compare(op, (int64_t)a, (int64_t)b));
    else
        push(e, calculate(op, a, b));
    return true;
}

// The operations that move entries about, or work on one of them. false: `op` is none of them.
static bool run_stack(struct evaluation *e, uint8_t op)
{
    uint64_t a, b, c;
    switch (op) {
    case DW_OP_dup:
        push(e, peek(e, 0));
        return true;
    case DW_OP_drop:
        pop(e);
        return true;
    case DW_OP_over:
        push(e, peek(e, 1));
        return true;
    case DW_OP_pick:
        push(e, peek(e, cursor_unsigned(&e->cursor, 1)));
        return true;
    case DW_OP_swap:
        a = pop(e), b = pop(e);
        push(e, a), push(e, b);
        return true;
    case DW_OP_rot:
        a = pop(e), b = pop(e), c = pop(e);
        push(e, a), push(e, c), push(e, b);
        return true;
    case DW_OP_abs:
        a = pop(e);
        push(e, (int64_t)a < 0 ? -a : a);
        return true;
    case DW_OP_neg:
        push(e, -pop(e));
        return true;
    case DW_OP_not:
        push(e, ~pop(e));
        return true;
    case DW_OP_plus_uconst:
        push(e, pop(e) + cursor_uleb128(&e->cursor));
        return true;
    default:
        return false;
    }
}

static void run_constant(struct evaluation *e, uint8_t op)
{
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
        push(e, op - DW_OP_lit0);
    } else if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
        push_register(e, op - DW_OP_breg0);
    } else if (op == DW_OP_constu) {
        push(e, cursor_uleb128(&e->cursor));
    } else if (op == DW_OP_consts) {
        push(e, (uint64_t)cursor_sleb128(&e->cursor));
    } else if (op >= DW_OP_const1u && op <= DW_OP_const8s) {
        // Unsigned and signed take turns, the size doubles with each pair.
        unsigned size = 1u << ((op - DW_OP_const1u) / 2);
        bool is_signed = (op - DW_OP_const1u) % 2;
        push(e, is_signed ? (uint64_t)cursor_signed(&e->cursor, size)
                          : cursor_unsigned(&e->cursor, size));
    } else {
        fail(e, -EINVAL);
    }
}

static void run(struct evaluation *e, uint8_t op)
{
    switch (op) {
    case DW_OP_nop:
        break;
    case DW_OP_deref:
        dereference(e, sizeof(uintptr_t));
        break;
    case DW_OP_deref_size:
        dereference(e, cursor_unsigned(&e->cursor, 1));
        break;
    case DW_OP_skip:
        jump(e, true);
        break;
    case DW_OP_bra:
        jump(e, pop(e) != 0);
        break;
    case DW_OP_bregx:
        push_register(e, cursor_uleb128(&e->cursor));
        break;
    default:
        if (!run_binary(e, op) && !run_stack(e, op))
            run_constant(e, op);
    }
}

int cfi_expression(const uint8_t *bytes, size_t length, const uintptr_t *initial,
                   const struct frame *frame, const struct unwind_view *view, uintptr_t *ret)
{
    struct evaluation e = {
        .cursor = cursor_of(bytes, length), .start = bytes, .frame = frame, .view = view};
    if (initial)
        push(&e, *initial);
    for (int left = OPERATIONS_MAX; e.cursor.at < e.cursor.end && !e.error; left--) {
        if (left == 0)
            return -EINVAL;
        run(&e, *e.cursor.at++);
    }
    uint64_t value = pop(&e);
    if (e.cursor.failed && !e.error)
        e.error = -EINVAL;
    if (!e.error)
        *ret = value;
    return e.error;
}
