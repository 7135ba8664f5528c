#include "profiler/snapshot/find_lock.h"

uint32_t find_lock_wait(const struct snapshot *snapshot, uint32_t slot)
{
    size_t low = 0;
    size_t high = snapshot->lock_wait_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->lock_waits[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == snapshot->lock_wait_count || snapshot->lock_waits[low].slot != slot)
        return SNAPSHOT_NONE;
    return (uint32_t)low;
}

const struct snapshot_lock *snapshot_lock_of(const struct snapshot *snapshot,
                                             const struct snapshot_task *task,
                                             const struct snapshot_lock_wait **ret_wait)
{
    uint32_t number = find_lock_wait(snapshot, task->slot);
    if (number == SNAPSHOT_NONE)
        return NULL;
    const struct snapshot_lock_wait *wait = &snapshot->lock_waits[number];
    if (wait->lock == SNAPSHOT_NONE || wait->id != task->id ||
        wait->wait_start_ns != task->wait_start_ns)
        return NULL;
    if (ret_wait)
        *ret_wait = wait;
    return &snapshot->locks[wait->lock];
}

const struct snapshot_lock *snapshot_find_lock(const struct snapshot *snapshot, uintptr_t object)
{
    size_t low = 0;
    size_t high = snapshot->lock_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->locks[middle].object < object)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == snapshot->lock_count || snapshot->locks[low].object != object)
        return NULL;
    return &snapshot->locks[low];
}
