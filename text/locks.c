#include "text/locks.h"

#include "profiler/base/span.h"
#include "text/frames.h"
#include "text/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WAITERS_LISTED = 16 }; // of an abandoned lock

static const char *kind_of(const struct snapshot_lock *lock)
{
    return lock->is_rwlock ? "reader-writer lock" : "mutex";
}

void text_holder(const struct snapshot *snapshot, const struct snapshot_lock *lock, uint64_t waiter,
                 char into[TEXT_HOLDER_MAX])
{
    const char *state = NULL;
    if (lock->owner_task < snapshot->task_count)
        state = snapshot_state_text(&snapshot->groups[snapshot->task_list[lock->owner_task].group]);
    into[0] = '\0';
    switch ((enum lock_holder)lock->holder) {
    case LOCK_HOLDER_UNKNOWN:
        break;
    case LOCK_HELD_BY_THREAD:
        if (lock->owner_id && lock->owner_id == waiter)
            snprintf(into, TEXT_HOLDER_MAX, "this task itself");
        else if (lock->owner_id)
            snprintf(into, TEXT_HOLDER_MAX, "goroutine %llu (tid %d)%s%s",
                     (unsigned long long)lock->owner_id, (int)lock->owner_tid, state ? ", " : "",
                     state ? state : "");
        else
            snprintf(into, TEXT_HOLDER_MAX, "thread %d", (int)lock->owner_tid);
        break;
    case LOCK_HELD_BY_ENDED:
        snprintf(into, TEXT_HOLDER_MAX, "thread %d, which has ended", (int)lock->owner_tid);
        break;
    case LOCK_HELD_ELSEWHERE:
        snprintf(into, TEXT_HOLDER_MAX, "thread %d of another process", (int)lock->owner_tid);
        break;
    case LOCK_HELD_BY_READERS:
        snprintf(into, TEXT_HOLDER_MAX, "%u reader%s; who is not known", lock->readers,
                 lock->readers == 1 ? "" : "s");
        break;
    }
}

static void one_wait(struct buffer *out, const struct snapshot *snapshot,
                     const struct snapshot_lock_wait *wait, struct details_reader *reader)
{
    const struct snapshot_task task = {
        .id = wait->id, .wait_start_ns = wait->wait_start_ns, .slot = wait->slot};
    struct task_details details = {0};
    buffer_printf(out, "#   goroutine %llu", (unsigned long long)wait->id);
    if (snapshot_task_details(snapshot, &task, reader, &details)) {
        buffer_string(out, " (");
        if (details.name[0]) {
            char name[TASKPROF_NAME_SIZE + 1] = "";
            memcpy(name, details.name, TASKPROF_NAME_SIZE);
            words_quoted(out, name);
            buffer_string(out, ", ");
        }
        buffer_printf(out, "tid %d)", (int)details.tid);
    }
    buffer_string(out, " has waited ");
    span_write(out, snapshot->monotonic_ns > wait->wait_start_ns
                        ? snapshot->monotonic_ns - wait->wait_start_ns
                        : 0);
}

static void place(struct buffer *out, const struct snapshot *snapshot,
                  const struct snapshot_lock_wait *wait, bool stacks)
{
    buffer_char(out, '\n');
    if (stacks)
        frames_by_address(out, snapshot, snapshot->groups[wait->group].stack, "#");
}

static void one_deadlock(struct buffer *out, const struct snapshot *snapshot, size_t number,
                         bool stacks, struct details_reader *reader)
{
    const struct snapshot_deadlock *deadlock = &snapshot->deadlocks[number];
    buffer_printf(out, "# DEADLOCK %zu: %u task%s", number + 1, deadlock->count,
                  deadlock->count == 1 ? "" : "s");
    buffer_string(out, deadlock->count == 1
                           ? ", which waits for a lock that it holds itself\n"
                           : ", each of which waits for a lock that the next one holds\n");
    uint32_t at = deadlock->first;
    for (uint32_t i = 0; i < deadlock->count; i++) {
        const struct snapshot_lock_wait *wait = &snapshot->lock_waits[at];
        const struct snapshot_lock *lock = &snapshot->locks[wait->lock];
        char holder[TEXT_HOLDER_MAX];
        text_holder(snapshot, lock, wait->id, holder);
        one_wait(out, snapshot, wait, reader);
        buffer_printf(out, " for the %s 0x", kind_of(lock));
        buffer_hex(out, lock->object);
        buffer_string(out, ", held by ");
        buffer_string(out, holder);
        place(out, snapshot, wait, stacks);
        at = lock->owner_wait;
    }
    if (deadlock->behind)
        buffer_printf(out, "#   %llu more task%s behind them\n",
                      (unsigned long long)deadlock->behind,
                      deadlock->behind == 1 ? " waits" : "s wait");
}

static void one_abandoned(struct buffer *out, const struct snapshot *snapshot, uint32_t number,
                          bool stacks, struct details_reader *reader)
{
    const struct snapshot_lock *lock = &snapshot->locks[number];
    buffer_printf(out, "# ABANDONED LOCK: the %s 0x", kind_of(lock));
    buffer_hex(out, lock->object);
    buffer_printf(out, " is locked by thread %d, which has ended; %llu task%s for it\n",
                  (int)lock->owner_tid, (unsigned long long)lock->waiters,
                  lock->waiters == 1 ? " waits" : "s wait");
    unsigned listed = 0;
    for (size_t i = 0; i < snapshot->lock_wait_count && listed < WAITERS_LISTED; i++)
        if (snapshot->lock_waits[i].lock == number) {
            one_wait(out, snapshot, &snapshot->lock_waits[i], reader);
            place(out, snapshot, &snapshot->lock_waits[i], stacks);
            listed++;
        }
    if (lock->waiters > listed)
        buffer_printf(out, "#   and %llu more\n", (unsigned long long)lock->waiters - listed);
}

void text_locks(struct buffer *out, const struct snapshot *snapshot, bool stacks)
{
    size_t before = out->length;
    struct details_reader reader = {0};
    for (size_t i = 0; i < snapshot->deadlock_count; i++)
        one_deadlock(out, snapshot, i, stacks, &reader);
    for (uint32_t i = 0; i < snapshot->lock_count; i++)
        if (snapshot->locks[i].abandoned)
            one_abandoned(out, snapshot, i, stacks, &reader);
    snapshot_details_close(&reader);
    if (out->length > before)
        buffer_char(out, '\n');
}

void text_locks_summary(struct buffer *out, const struct snapshot *snapshot)
{
    const char *separator = "";
    for (size_t i = 0; i < snapshot->deadlock_count; i++) {
        uint32_t count = snapshot->deadlocks[i].count;
        buffer_printf(out, "%s1 deadlock of %u task%s", separator, count, count == 1 ? "" : "s");
        separator = ", ";
    }
    size_t abandoned = 0;
    for (size_t i = 0; i < snapshot->lock_count; i++)
        abandoned += snapshot->locks[i].abandoned;
    if (abandoned)
        buffer_printf(out, "%s%zu abandoned lock%s", separator, abandoned,
                      abandoned == 1 ? "" : "s");
}
