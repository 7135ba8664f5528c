#include "profiler/snapshot/owners.h"

#include "profiler/base/array.h"
#include "profiler/base/safe_read.h"
#include "profiler/base/sort.h"
#include "profiler/snapshot/collector.h"
#include "profiler/snapshot/confirm_wait.h"
#include "profiler/snapshot/deadlocks.h"
#include "profiler/snapshot/find_lock.h"
#include "profiler/snapshot/lock_state.h"
#include "profiler/snapshot/proc_thread.h"
#include "profiler/tasks/task.h"
#include "profiler/tasks/thread.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CANDIDATES = 64 };

// Where the kernel does not say what a thread sleeps in, a wait counts as one only from this age
// on: a thread that has just got its lock, and not yet said so, looks the same.
#define LONG_WAIT_NS 1000000000ull

void owners_begin(struct lock_candidates *candidates)
{
    candidates->count = 0;
}

bool owners_note(struct lock_candidates *candidates, const struct group_member *member,
                 uint32_t slot, uint32_t group)
{
    if (!member->object)
        return true;
    void *list = array_grow(candidates->list, candidates->count, &candidates->capacity,
                            sizeof(*candidates->list), FIRST_CANDIDATES);
    if (!list)
        return false;
    candidates->list = list;
    candidates->list[candidates->count++] = (struct lock_candidate){
        .id = member->id,
        .wait_start_ns = member->wait_start_ns,
        .object = member->object,
        .slot = slot,
        .group = group,
    };
    return true;
}

// What the work on one snapshot's locks needs.
struct owning {
    struct collector *collector;
    struct snapshot *snapshot;
    struct lock_candidate *waits; // in the order of snapshot->lock_waits
    struct lock_state *states;    // in the order of snapshot->locks
};

// ---- the waits, each of which must be the same before its lock is read and after that ----

static uint64_t park_of(const struct lock_candidate *wait)
{
    const struct taskprof_task *task = slab_at(&task_slab, wait->slot);
    uint64_t seq = atomic_load_explicit(&task->seq, memory_order_acquire);
    // Acquire: pairs with the releases in a park's record.
    if (atomic_load_explicit(&task->id, memory_order_acquire) != wait->id ||
        atomic_load_explicit(&task->since_ns, memory_order_acquire) != wait->wait_start_ns ||
        atomic_load_explicit(&task->seq, memory_order_relaxed) != seq)
        return 0;
    return seq & 1 ? seq : 0;
}

static bool still_waits(const struct lock_candidate *wait)
{
    return wait->seq && park_of(wait) == wait->seq;
}

static bool is_sorted(const struct lock_candidates *candidates)
{
    for (size_t i = 1; i < candidates->count; i++)
        if (candidates->list[i - 1].slot >= candidates->list[i].slot)
            return false;
    return true;
}

static int export_waits(struct owning *owning)
{
    const struct lock_candidates *from = &owning->collector->lock_candidates;
    struct snapshot *snapshot = owning->snapshot;
    size_t count = from->count;
    owning->waits = from->list;
    snapshot->lock_waits = arena_alloc(&snapshot->arena, count * sizeof(*snapshot->lock_waits));
    if (!snapshot->lock_waits)
        return -ENOMEM;
    if (!is_sorted(from)) {
        struct sort_item *order = arena_alloc(&snapshot->arena, count * sizeof(*order));
        owning->waits = arena_alloc(&snapshot->arena, count * sizeof(*owning->waits));
        if (!order || !owning->waits)
            return -ENOMEM;
        for (uint32_t i = 0; i < count; i++)
            order[i] = (struct sort_item){.key = UINT32_MAX - from->list[i].slot, .index = i};
        sort_descending(order, count);
        for (size_t i = 0; i < count; i++)
            owning->waits[i] = from->list[order[i].index];
    }
    for (size_t i = 0; i < count; i++) {
        struct lock_candidate *wait = &owning->waits[i];
        wait->seq = park_of(wait);
        snapshot->lock_waits[i] = (struct snapshot_lock_wait){
            .id = wait->id,
            .wait_start_ns = wait->wait_start_ns,
            .slot = wait->slot,
            .group = wait->group,
            .lock = SNAPSHOT_NONE,
            .deadlock = SNAPSHOT_NONE,
        };
    }
    snapshot->lock_wait_count = count;
    return 0;
}

static uint8_t reason_of(const struct owning *owning, const struct lock_candidate *wait)
{
    return owning->collector->groups.list[wait->group].key.reason;
}

// ---- the locks ----

static int list_locks(struct owning *owning)
{
    struct snapshot *snapshot = owning->snapshot;
    size_t count = snapshot->lock_wait_count;
    struct sort_item *order = arena_alloc(&snapshot->arena, count * sizeof(*order));
    snapshot->locks = arena_alloc(&snapshot->arena, count * sizeof(*snapshot->locks));
    owning->states = arena_alloc(&snapshot->arena, count * sizeof(*owning->states));
    if (!order || !snapshot->locks || !owning->states)
        return -ENOMEM;
    size_t still = 0;
    for (uint32_t i = 0; i < count; i++)
        if (owning->waits[i].seq)
            order[still++] =
                (struct sort_item){.key = UINT64_MAX - owning->waits[i].object, .index = i};
    sort_descending(order, still);
    for (size_t i = 0; i < still; i++) {
        const struct lock_candidate *wait = &owning->waits[order[i].index];
        struct snapshot_lock *last =
            snapshot->lock_count ? &snapshot->locks[snapshot->lock_count - 1] : NULL;
        if (!last || last->object != wait->object) {
            last = &snapshot->locks[snapshot->lock_count++];
            *last = (struct snapshot_lock){
                .object = wait->object,
                .owner_slot = SNAPSHOT_NONE,
                .owner_task = SNAPSHOT_NONE,
                .owner_wait = SNAPSHOT_NONE,
                .is_rwlock = reason_of(owning, wait) != TASKPROF_MUTEX_LOCK,
            };
        }
        last->waiters++;
        snapshot->lock_waits[order[i].index].lock = (uint32_t)snapshot->lock_count - 1;
    }
    return 0;
}

static size_t lock_size(const struct snapshot_lock *lock)
{
    return lock->is_rwlock ? sizeof(pthread_rwlock_t) : sizeof(pthread_mutex_t);
}

static void read_lock(const struct snapshot_lock *lock, struct lock_state *ret)
{
    union {
        pthread_mutex_t mutex;
        pthread_rwlock_t rwlock;
    } copy;
    *ret = (struct lock_state){0};
    if (safe_read(lock->object, &copy, lock_size(lock)) != (ssize_t)lock_size(lock))
        return;
    if (lock->is_rwlock)
        lock_state_of_rwlock(&copy.rwlock, ret);
    else
        lock_state_of_mutex(&copy.mutex, ret);
}

static bool reads_the_same(const struct snapshot_lock *lock, const struct lock_state *before)
{
    struct lock_state now;
    read_lock(lock, &now);
    return now.holding == before->holding && now.tid == before->tid;
}

// A main thread that left by pthread_exit stays in the kernel's lists until the process ends.
static bool is_there(const struct owning *owning, pid_t tid)
{
    struct proc_thread thread;
    return proc_thread_exists(tid) &&
           (tid != getpid() || proc_thread_look(owning->collector->proc, tid, &thread) != -ESRCH);
}

static void name_holder(struct owning *owning, size_t number)
{
    struct snapshot_lock *lock = &owning->snapshot->locks[number];
    struct lock_state *state = &owning->states[number];
    read_lock(lock, state);
    lock->readers = state->readers;
    if (state->holding == LOCK_BY_READERS)
        lock->holder = LOCK_HELD_BY_READERS;
    if (state->holding != LOCK_BY_TID)
        return;
    lock->owner_tid = state->tid;
    if (is_there(owning, state->tid)) {
        uint32_t slot = table_get(&owning->collector->registered, (uint64_t)state->tid);
        lock->holder = LOCK_HELD_BY_THREAD;
        lock->owner_slot = slot != TABLE_NONE ? slot : SLOT_IS_TID | (uint32_t)state->tid;
        const struct taskprof_task *task = slot != TABLE_NONE ? slab_at(&task_slab, slot) : NULL;
        if (task && task_tid(task) == state->tid)
            lock->owner_id = atomic_load_explicit(&task->id, memory_order_relaxed);
    } else if (state->shared) {
        lock->holder = LOCK_HELD_ELSEWHERE;
    } else if (!thread_may_have_been(state->tid) && reads_the_same(lock, state)) {
        // The second look: a thread may let go of its locks and end between a look at a lock and
        // the question whether that thread is there.
        lock->holder = LOCK_HELD_BY_ENDED;
    }
}

static void drop_those_gone_on(struct owning *owning)
{
    struct snapshot *snapshot = owning->snapshot;
    for (size_t i = 0; i < snapshot->lock_wait_count; i++) {
        uint32_t *lock = &snapshot->lock_waits[i].lock;
        if (*lock == SNAPSHOT_NONE || still_waits(&owning->waits[i]))
            continue;
        snapshot->locks[*lock].waiters--;
        *lock = SNAPSHOT_NONE;
    }
}

// ---- who is who ----

// The holders' places in the list of tasks, and the ids of those that have no slot.
static int find_in_list(struct owning *owning)
{
    struct snapshot *snapshot = owning->snapshot;
    struct table first_of = {0}; // slot → the first lock that it holds
    bool ok = true;
    uint32_t *next = arena_alloc(&snapshot->arena, snapshot->lock_count * sizeof(*next));
    if (!next)
        return -ENOMEM;
    for (uint32_t i = 0; i < snapshot->lock_count && ok; i++) {
        uint32_t slot = snapshot->locks[i].owner_slot;
        if (slot == SNAPSHOT_NONE)
            continue;
        next[i] = table_get(&first_of, slot);
        ok = table_put(&first_of, slot, i);
    }
    for (uint32_t i = 0; i < snapshot->task_count && ok && first_of.count; i++) {
        const struct snapshot_task *task = &snapshot->task_list[i];
        for (uint32_t at = table_get(&first_of, task->slot); at != TABLE_NONE; at = next[at]) {
            struct snapshot_lock *lock = &snapshot->locks[at];
            if (lock->owner_id && lock->owner_id != task->id)
                continue; // the slot has another task by now
            lock->owner_id = task->id;
            lock->owner_task = i;
        }
    }
    table_release(&first_of);
    return ok ? 0 : -ENOMEM;
}

// ---- what is certain ----

// Whether a wait is a sleep that its lock alone can end.
static bool is_stuck(const struct owning *owning, uint32_t number, bool timeout_will_do)
{
    const struct snapshot *snapshot = owning->snapshot;
    const struct lock_candidate *wait = &owning->waits[number];
    uint32_t lock_number = snapshot->lock_waits[number].lock;
    const struct taskprof_task *task = slab_at(&task_slab, wait->slot);
    if (lock_number == SNAPSHOT_NONE || task_kind(task) != TASK_THREAD)
        return false;
    const struct snapshot_lock *lock = &snapshot->locks[lock_number];
    const struct lock_state *state = &owning->states[lock_number];
    enum lock_sleep sleep = confirm_wait(owning->collector->proc, task_tid(task), lock->object,
                                         lock_size(lock), state->in_kernel);
    bool stuck = sleep == SLEEP_FOR_EVER;
    if (sleep == SLEEP_WITH_TIMEOUT)
        stuck = timeout_will_do;
    else if (sleep == SLEEP_NOT_TOLD)
        stuck = snapshot->monotonic_ns > wait->wait_start_ns &&
                snapshot->monotonic_ns - wait->wait_start_ns >= LONG_WAIT_NS;
    // In this order: what the kernel said was said of this very park.
    return stuck && still_waits(wait) && reads_the_same(lock, state);
}

static bool cycle_is_real(void *context, uint32_t first)
{
    const struct owning *owning = context;
    const struct snapshot *snapshot = owning->snapshot;
    uint32_t at = first;
    do {
        uint32_t next = deadlocks_next(snapshot, at);
        // Who asks twice for such a mutex is refused: it has just got it, or gets an error.
        if (next == at && owning->states[snapshot->lock_waits[at].lock].checks_self)
            return false;
        if (!is_stuck(owning, at, false))
            return false;
        at = next;
    } while (at != first);
    return true;
}

static void mark_abandoned(struct owning *owning)
{
    struct snapshot *snapshot = owning->snapshot;
    for (uint32_t i = 0; i < snapshot->lock_wait_count; i++) {
        uint32_t number = snapshot->lock_waits[i].lock;
        if (number == SNAPSHOT_NONE)
            continue;
        struct snapshot_lock *lock = &snapshot->locks[number];
        if (lock->holder == LOCK_HELD_BY_ENDED && !lock->abandoned)
            lock->abandoned = is_stuck(owning, i, true);
    }
}

void collect_owners(struct collector *collector)
{
    struct snapshot *snapshot = collector->snapshot;
    struct owning owning = {.collector = collector, .snapshot = snapshot};
    if (collector->lock_candidates.count == 0 || collector->out_of_memory)
        return;
    int result = export_waits(&owning);
    if (result == 0)
        result = list_locks(&owning);
    for (size_t i = 0; i < snapshot->lock_count && result == 0; i++)
        name_holder(&owning, i);
    if (result == 0)
        drop_those_gone_on(&owning);
    for (size_t i = 0; i < snapshot->lock_count && result == 0; i++)
        if (snapshot->locks[i].holder == LOCK_HELD_BY_THREAD)
            snapshot->locks[i].owner_wait = find_lock_wait(snapshot, snapshot->locks[i].owner_slot);
    if (result == 0)
        result = deadlocks_find(snapshot, cycle_is_real, &owning);
    if (result == 0)
        result = find_in_list(&owning);
    if (result == 0)
        mark_abandoned(&owning);
    if (result < 0)
        collector->out_of_memory = true;
}
