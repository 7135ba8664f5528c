#include "profiler/symbols/dwarf_thread.h"

#include "profiler/base/clock.h"
#include "profiler/base/own_fd.h"
#include "profiler/symbols/dwarf_step.h"
#include "profiler/symbols/symbol_draft.h"
#include "profiler/tasks/own_thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

enum { WAKE_EVERY = 64 };
static const uint64_t PATIENCE_NS = 2000000000;
static const uint64_t TURN_NS = 200000; // before others get theirs, while nobody waits

static struct {
    // Under symbol_cache_lock:
    struct symbol_entry *first;
    struct symbol_entry *last;
    uint64_t asked; // the last ticket given
    bool alive;     // a thread is there; cleared by itself as it leaves
    bool stopping;

    _Atomic bool runs;   // alive and not stopping, for those without the lock
    _Atomic bool nudged; // relaxed: `work` says that there is something to do
    // Threads that wait for an answer. Relaxed: only the thread's manners depend on it.
    _Atomic uint32_t waiting;
    // Release; acquired by who waits, who then finds the entry's symbol.
    _Atomic uint64_t completed; // the last ticket answered
    // Of progress without which a wait was given up; UINT64_MAX: none was.
    _Atomic uint64_t stuck_at;
    // Futexes. Changed after what they announce (release), read before it is looked at (acquire).
    _Atomic uint32_t work; // something was asked, or the thread is to stop
    _Atomic uint32_t done; // something was answered
    _Atomic uint32_t left; // the thread has left
} queue = {.stuck_at = UINT64_MAX};

// Serialises start and stop. Guards `thread` and `joinable`.
static struct lock control = LOCK_INIT;
static pthread_t thread;
static bool joinable;
// Written before there is a thread.
static void (*when_nudged)(void);

static void announce(_Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    futex_wake(word, INT32_MAX);
}

void dwarf_thread_open(struct symbol_module *module)
{
    int state = atomic_load_explicit(&module->dwarf, memory_order_relaxed);
    if (state != MODULE_DWARF_UNKNOWN)
        return;
    int error = dwarf_lines_open(&module->mapping, &module->lines);
    if (error == -ECANCELED)
        return;
    atomic_store_explicit(&module->dwarf, error ? MODULE_DWARF_NONE : MODULE_DWARF_OPEN,
                          memory_order_release);
}

static void answer(struct symbol_entry *entry, struct symbol_module *module, uint64_t ticket)
{
    struct symbol_draft draft;
    dwarf_thread_open(module);
    int state = atomic_load_explicit(&module->dwarf, memory_order_relaxed);
    if (state == MODULE_DWARF_OPEN)
        symbol_draft_lines(module, entry->address, &draft);
    lock_acquire(&symbol_cache_lock);
    if (state == MODULE_DWARF_OPEN)
        symbol_cache_improve(entry, &draft);
    entry->final = state != MODULE_DWARF_UNKNOWN;
    symbol_cache_used();
    // A stop may have let everybody go meanwhile, with later tickets; it does so under this lock.
    if (ticket > atomic_load_explicit(&queue.completed, memory_order_relaxed))
        atomic_store_explicit(&queue.completed, ticket, memory_order_release);
    lock_release(&symbol_cache_lock);
    symbol_modules_unpin(module);
    dwarf_step();
}

// While nobody waits for an answer, whoever else wants this processor gets it at every step: a tick
// of the kernel's may be 4 ms away. Who waits wants a fair share, and no less.
static bool after_step(void)
{
    static uint64_t turn; // the DWARF thread's alone
    if (atomic_load_explicit(&queue.waiting, memory_order_relaxed) == 0) {
        uint64_t now = clock_monotonic_ns();
        if (now - turn >= TURN_NS) {
            sched_yield();
            turn = clock_monotonic_ns();
        }
    }
    return atomic_load_explicit(&queue.runs, memory_order_relaxed);
}

// Unless it was called back into service meanwhile.
static bool leaves(void)
{
    lock_acquire(&symbol_cache_lock);
    bool stop = queue.stopping;
    if (stop)
        queue.alive = false;
    lock_release(&symbol_cache_lock);
    return stop;
}

static void *run(void *unused)
{
    (void)unused;
    unsigned unannounced = 0;
    own_thread_be_modest();
    own_fd_separate();
    dwarf_step_then(after_step);
    for (;;) {
        uint32_t work = atomic_load_explicit(&queue.work, memory_order_acquire);
        if (atomic_exchange_explicit(&queue.nudged, false, memory_order_relaxed))
            when_nudged();
        lock_acquire(&symbol_cache_lock);
        struct symbol_entry *entry = queue.first;
        struct symbol_module *module = entry ? entry->module : NULL;
        uint64_t ticket = entry ? entry->ticket : 0;
        bool stop = queue.stopping;
        if (!stop && entry) {
            queue.first = entry->next;
            // No hold: this thread may get stuck in malloc. The module is pinned as long as it is
            // in the queue, and now.
            symbol_cache_use();
        }
        lock_release(&symbol_cache_lock);
        if (!stop && entry) {
            answer(entry, module, ticket);
            unannounced++;
        }
        symbol_modules_close_retired();
        if (stop) {
            // Here, and not on the thread that stops: it calls free, which may be stuck.
            symbol_modules_close_dwarf();
            if (leaves())
                break;
            continue;
        }
        if (unannounced && (!entry || unannounced == WAKE_EVERY)) {
            announce(&queue.done);
            unannounced = 0;
        }
        if (!entry)
            futex_wait(&queue.work, work, -1);
    }
    announce(&queue.left);
    return NULL;
}

// A thread that a stop could not wait for is taken back into service if it is still there.
int dwarf_thread_start(void (*nudge)(void))
{
    lock_acquire(&control);
    lock_acquire(&symbol_cache_lock);
    queue.stopping = false;
    bool alive = queue.alive;
    queue.alive = true;
    lock_release(&symbol_cache_lock);
    int error = 0;
    if (!alive) {
        if (joinable)
            pthread_join(thread, NULL);
        when_nudged = nudge;
        error = own_thread_start(&thread, "taskprof-dwarf", run, NULL);
        joinable = error == 0;
    }
    if (error) {
        lock_acquire(&symbol_cache_lock);
        queue.alive = false;
        lock_release(&symbol_cache_lock);
    }
    atomic_store_explicit(&queue.runs, error == 0, memory_order_relaxed);
    lock_release(&control);
    return error;
}

// Waits as long as a caller would, and no longer: the thread may be stuck in malloc.
static bool wait_until_left(uint32_t left)
{
    uint64_t deadline = clock_monotonic_ns() + PATIENCE_NS;
    uint64_t now;
    while (atomic_load_explicit(&queue.left, memory_order_acquire) == left &&
           (now = clock_monotonic_ns()) < deadline)
        futex_wait(&queue.left, left, (int64_t)(deadline - now));
    return atomic_load_explicit(&queue.left, memory_order_acquire) != left;
}

void dwarf_thread_forget(void)
{
    for (; queue.first; queue.first = queue.first->next)
        symbol_modules_unpin(queue.first->module);
    atomic_store_explicit(&queue.completed, queue.asked, memory_order_release);
    announce(&queue.done);
}

void dwarf_thread_stop(void)
{
    lock_acquire(&control);
    atomic_store_explicit(&queue.runs, false, memory_order_relaxed);
    uint32_t left = atomic_load_explicit(&queue.left, memory_order_acquire);
    lock_acquire(&symbol_cache_lock);
    bool alive = queue.alive;
    queue.stopping = true;
    dwarf_thread_forget();
    lock_release(&symbol_cache_lock);
    announce(&queue.work);
    if (joinable && (!alive || wait_until_left(left))) {
        pthread_join(thread, NULL);
        joinable = false;
    }
    lock_release(&control);
}

void dwarf_thread_nudge(void)
{
    atomic_store_explicit(&queue.nudged, true, memory_order_relaxed);
    announce(&queue.work);
}

bool dwarf_thread_runs(void)
{
    return atomic_load_explicit(&queue.runs, memory_order_relaxed);
}

uint64_t dwarf_thread_ask(struct symbol_entry *entry, struct symbol_module *module)
{
    if (entry->ticket > atomic_load_explicit(&queue.completed, memory_order_relaxed))
        return entry->ticket;
    symbol_modules_pin(module);
    entry->ticket = ++queue.asked;
    entry->module = module;
    entry->next = NULL;
    if (queue.first)
        queue.last->next = entry;
    else
        queue.first = entry;
    queue.last = entry;
    return entry->ticket;
}

static int wait_for(uint64_t ticket)
{
    uint64_t progress = dwarf_step_progress();
    uint64_t since = clock_monotonic_ns();
    for (;;) {
        uint32_t done = atomic_load_explicit(&queue.done, memory_order_acquire);
        if (atomic_load_explicit(&queue.completed, memory_order_acquire) >= ticket)
            return 0;
        uint64_t reached = dwarf_step_progress();
        if (atomic_load_explicit(&queue.stuck_at, memory_order_relaxed) == reached)
            return -ETIMEDOUT;
        uint64_t now = clock_monotonic_ns();
        if (now - since >= PATIENCE_NS) {
            if (reached == progress) {
                atomic_store_explicit(&queue.stuck_at, reached, memory_order_relaxed);
                return -ETIMEDOUT;
            }
            progress = reached;
            since = now;
        }
        futex_wait(&queue.done, done, (int64_t)(PATIENCE_NS - (now - since)));
    }
}

int dwarf_thread_wait(uint64_t ticket)
{
    atomic_fetch_add_explicit(&queue.waiting, 1, memory_order_relaxed);
    announce(&queue.work);
    int result = wait_for(ticket);
    atomic_fetch_sub_explicit(&queue.waiting, 1, memory_order_relaxed);
    return result;
}

void dwarf_thread_after_fork(void)
{
    lock_reset(&control);
    joinable = false;
    queue.first = NULL;
    queue.alive = false;
    queue.stopping = false;
    atomic_store_explicit(&queue.runs, false, memory_order_relaxed);
    atomic_store_explicit(&queue.waiting, 0, memory_order_relaxed);
    atomic_store_explicit(&queue.nudged, false, memory_order_relaxed);
    atomic_store_explicit(&queue.stuck_at, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&queue.completed, queue.asked, memory_order_relaxed);
}
