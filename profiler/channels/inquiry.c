#include "profiler/channels/inquiry.h"

#include "profiler/base/budget.h"
#include "profiler/base/clock.h"
#include "profiler/base/hash.h"
#include "profiler/base/lock.h"
#include "profiler/base/memory.h"
#include "profiler/base/table.h"

// Stacks and objects that are remembered; beyond that all are asked anew.
enum { QUESTIONS_MAX = 1 << 14, KNOWN_MAX = 1 << 17, ANSWERS_MAX = 1 << 16 };
enum { ASKED, NO, LATER, FIRST_ANSWER }; // values of `known`

struct budget inquiry_budget =
    BUDGET_INIT("waits that may be on described queues",
                "they are shown by their objects, and asked about again in the next dump",
                QUESTIONS_MAX * sizeof(struct inquiry));

static const uint64_t PATIENCE_NS = 2000000000; // without any progress
static const uint64_t PATIENCE_ALL_NS = 5000000000;

static struct {
    struct lock lock;   // guards the next ones
    struct table known; // stack and object → ASKED, NO, LATER, FIRST_ANSWER + index
    struct inquiry_answer *answers;
    uint32_t answer_count;
    struct inquiry *questions; // a ring
    uint64_t asked;
    uint64_t taken;
    uint32_t round; // of forgetting
    void (*sweep)(void);

    _Atomic bool open;
    _Atomic uint32_t version;
    _Atomic uint64_t settled; // questions; release, acquired by who waits
    _Atomic uint64_t steps;
    _Atomic uint64_t stuck_at; // steps at which a wait was given up; UINT64_MAX: none was
    // Futexes. Changed after what they announce (release), read before it is looked at (acquire).
    _Atomic uint32_t work;
    _Atomic uint32_t done;
} state = {.lock = LOCK_INIT, .stuck_at = UINT64_MAX};

static void announce(_Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    futex_wake(word, INT32_MAX);
}

static uint64_t key_of(const struct inquiry *inquiry)
{
    return hash_mix(inquiry->stack, inquiry->object);
}

void inquiry_sweep(void)
{
    // Acquire: pairs with inquiry_open.
    if (atomic_load_explicit(&state.open, memory_order_acquire))
        state.sweep();
}

// The channel that an answer names may be gone, and its slot another's.
static bool still_holds(const struct inquiry_answer *answer)
{
    struct channel *channel = slab_at(&channel_slab, answer->channel_slot);
    return channel && atomic_load_explicit(&channel->state, memory_order_acquire) == CHANNEL_LIVE &&
           atomic_load_explicit(&channel->id, memory_order_relaxed) == answer->channel_id;
}

static void forget(void)
{
    table_clear(&state.known);
    state.answer_count = 0;
    state.taken = state.asked;
    state.round++;
    atomic_store_explicit(&state.settled, state.asked, memory_order_release);
}

void inquiry_forget(void)
{
    lock_acquire(&state.lock);
    forget();
    lock_release(&state.lock);
    announce(&state.done);
}

static void ask(const struct inquiry *inquiry)
{
    uint64_t open = state.asked - state.taken;
    if (open == QUESTIONS_MAX || (open + 1) * sizeof(*inquiry) > inquiry_budget.limit) {
        budget_leave_out(&inquiry_budget);
        return;
    }
    if (state.known.count >= KNOWN_MAX)
        forget();
    if (!table_put(&state.known, key_of(inquiry), ASKED))
        return;
    struct inquiry *question = &state.questions[state.asked++ % QUESTIONS_MAX];
    *question = *inquiry;
    question->round = state.round;
}

enum inquiry_state inquiry_find(const struct inquiry *inquiry, struct inquiry_answer *ret)
{
    if (!atomic_load_explicit(&state.open, memory_order_acquire) || !inquiry->object)
        return INQUIRY_NO;
    enum inquiry_state result = INQUIRY_OPEN;
    lock_acquire(&state.lock);
    uint32_t value = table_get(&state.known, key_of(inquiry));
    if (value == NO) {
        result = INQUIRY_NO;
    } else if (value != TABLE_NONE && value >= FIRST_ANSWER) {
        *ret = state.answers[value - FIRST_ANSWER];
        result = still_holds(ret) ? INQUIRY_YES : INQUIRY_OPEN;
    }
    if (result == INQUIRY_OPEN && value != ASKED)
        ask(inquiry);
    lock_release(&state.lock);
    return result;
}

uint32_t inquiry_version(void)
{
    return atomic_load_explicit(&state.version, memory_order_acquire);
}

static bool all_settled(uint64_t asked)
{
    return atomic_load_explicit(&state.settled, memory_order_acquire) >= asked;
}

// What was asked until now is answered, and what was learned at first is learned.
static void wait_for(uint64_t asked)
{
    uint64_t start = clock_monotonic_ns();
    uint64_t since = start;
    uint64_t progress = atomic_load_explicit(&state.steps, memory_order_relaxed);
    for (;;) {
        uint32_t done = atomic_load_explicit(&state.done, memory_order_acquire);
        if (all_settled(asked))
            return;
        uint64_t reached = atomic_load_explicit(&state.steps, memory_order_relaxed);
        if (atomic_load_explicit(&state.stuck_at, memory_order_relaxed) == reached)
            return;
        uint64_t now = clock_monotonic_ns();
        if (now - start >= PATIENCE_ALL_NS)
            return;
        if (reached != progress) {
            progress = reached;
            since = now;
        }
        if (now - since >= PATIENCE_NS) {
            atomic_store_explicit(&state.stuck_at, reached, memory_order_relaxed);
            return;
        }
        futex_wait(&state.done, done, (int64_t)(PATIENCE_NS - (now - since)));
    }
}

bool inquiry_wait(uint32_t version)
{
    if (!atomic_load_explicit(&state.open, memory_order_acquire))
        return false;
    lock_acquire(&state.lock);
    uint64_t asked = state.asked;
    lock_release(&state.lock);
    if (!all_settled(asked)) {
        announce(&state.work);
        wait_for(asked);
    }
    return inquiry_version() != version;
}

void inquiry_open(void (*sweep)(void))
{
    lock_acquire(&state.lock);
    if (!state.questions)
        state.questions = memory_map(QUESTIONS_MAX * sizeof(*state.questions));
    if (!state.answers)
        state.answers = memory_map(ANSWERS_MAX * sizeof(*state.answers));
    bool ready = state.questions && state.answers;
    state.sweep = sweep;
    forget();
    atomic_store_explicit(&state.stuck_at, UINT64_MAX, memory_order_relaxed);
    lock_release(&state.lock);
    atomic_store_explicit(&state.open, ready, memory_order_release);
    // What collectors worked out without answers is void.
    atomic_fetch_add_explicit(&state.version, 1, memory_order_release);
}

void inquiry_close(void)
{
    atomic_store_explicit(&state.open, false, memory_order_release);
    lock_acquire(&state.lock);
    forget();
    lock_release(&state.lock);
    atomic_fetch_add_explicit(&state.version, 1, memory_order_release);
    announce(&state.done);
}

bool inquiry_next(struct inquiry *ret)
{
    lock_acquire(&state.lock);
    bool any = state.taken != state.asked;
    if (any)
        *ret = state.questions[state.taken++ % QUESTIONS_MAX];
    lock_release(&state.lock);
    return any;
}

static bool keep(const struct inquiry *inquiry, const struct inquiry_answer *answer)
{
    if (state.answer_count == ANSWERS_MAX)
        forget();
    state.answers[state.answer_count] = *answer;
    return table_put(&state.known, key_of(inquiry), FIRST_ANSWER + state.answer_count++);
}

void inquiry_settle(const struct inquiry *inquiry, const struct inquiry_answer *answer, bool later)
{
    lock_acquire(&state.lock);
    // What was forgotten meanwhile may mean another stack by now.
    bool current = inquiry->round == state.round;
    bool yes = answer && current && keep(inquiry, answer);
    if (!answer && current)
        table_put(&state.known, key_of(inquiry), later ? LATER : NO);
    bool last = state.taken == state.asked;
    if (yes)
        // Release: pairs with inquiry_version. Before anybody who waits can see that it is settled.
        atomic_fetch_add_explicit(&state.version, 1, memory_order_release);
    // A close or a forgetting may have let everybody go meanwhile.
    if (atomic_load_explicit(&state.settled, memory_order_relaxed) < state.taken)
        atomic_fetch_add_explicit(&state.settled, 1, memory_order_release);
    lock_release(&state.lock);
    inquiry_step();
    if (last)
        announce(&state.done);
}

void inquiry_step(void)
{
    atomic_fetch_add_explicit(&state.steps, 1, memory_order_relaxed);
}

uint32_t inquiry_turn(void)
{
    return atomic_load_explicit(&state.work, memory_order_acquire);
}

void inquiry_sleep(uint32_t turn)
{
    lock_acquire(&state.lock);
    bool any = state.taken != state.asked;
    lock_release(&state.lock);
    if (!any)
        futex_wait(&state.work, turn, -1);
}

void inquiry_wake(void)
{
    announce(&state.work);
}

void inquiry_after_fork(void)
{
    // Who answered is not there any more; the channels that were found stay as they are.
    lock_reset(&state.lock);
    atomic_store_explicit(&state.open, false, memory_order_relaxed);
    table_clear(&state.known);
    state.answer_count = 0;
    state.taken = state.asked;
    atomic_store_explicit(&state.settled, state.asked, memory_order_relaxed);
}
