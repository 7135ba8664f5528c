#include "profiler/snapshot/thread_names.h"

#include "profiler/base/lock.h"
#include "profiler/snapshot/recent.h"

#include <string.h>

struct thread_name {
    struct recent_entry entry; // its key is the task's id
    uint64_t stamp;
    char name[TASKPROF_NAME_SIZE];
};

static struct lock names_lock = LOCK_INIT; // guards `names`
static struct recent names = RECENT_INIT(struct thread_name);

void thread_names_begin(void)
{
    lock_acquire(&names_lock);
    recent_begin(&names);
    lock_release(&names_lock);
}

bool thread_names_find(uint64_t id, uint64_t stamp, char into[TASKPROF_NAME_SIZE])
{
    lock_acquire(&names_lock);
    struct thread_name *name = recent_find(&names, id);
    bool noted_in_this = name && name->entry.round == names.round;
    bool its_turn = !noted_in_this && (id + names.round) % THREAD_NAMES_TURNS == 0;
    bool found = name && name->stamp == stamp && !its_turn;
    if (found) {
        name->entry.round = names.round;
        memcpy(into, name->name, TASKPROF_NAME_SIZE);
    }
    lock_release(&names_lock);
    return found;
}

void thread_names_note(uint64_t id, uint64_t stamp, const char name[TASKPROF_NAME_SIZE])
{
    lock_acquire(&names_lock);
    struct thread_name *entry = recent_keep(&names, id);
    if (entry) {
        entry->stamp = stamp;
        memcpy(entry->name, name, TASKPROF_NAME_SIZE);
    }
    lock_release(&names_lock);
}

void thread_names_after_fork(void)
{
    // Another thread of the parent may have been in the midst of a change: nothing is known.
    lock_reset(&names_lock);
    names = (struct recent)RECENT_INIT(struct thread_name);
}
