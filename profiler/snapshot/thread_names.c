#include "profiler/snapshot/thread_names.h"

#include "profiler/base/array.h"
#include "profiler/base/lock.h"
#include "profiler/base/table.h"

#include <string.h>

enum { FIRST_NAMES = 128 };

struct thread_name {
    uint64_t id;
    uint64_t stamp;
    uint64_t round; // in which it was last asked for or noted
    char name[TASKPROF_NAME_SIZE];
};

static struct lock names_lock = LOCK_INIT; // guards `names`
static struct {
    struct thread_name *list;
    size_t count;
    size_t capacity;
    struct table by_id; // → index in `list`
    uint64_t round;
} names;

static bool is_stale(const struct thread_name *name)
{
    return name->round + 2 <= names.round;
}

static void forget_stale(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < names.count; i++)
        if (!is_stale(&names.list[i]))
            names.list[kept++] = names.list[i];
    names.count = kept;
    table_clear(&names.by_id);
    // As many as there were fitted: there is room.
    for (size_t i = 0; i < kept; i++)
        table_put(&names.by_id, names.list[i].id, (uint32_t)i);
}

void thread_names_begin(void)
{
    lock_acquire(&names_lock);
    names.round++;
    size_t stale = 0;
    for (size_t i = 0; i < names.count; i++)
        stale += is_stale(&names.list[i]);
    // Not for a few: the table is built anew for it.
    if (stale > names.count / 4)
        forget_stale();
    lock_release(&names_lock);
}

static struct thread_name *find(uint64_t id)
{
    uint32_t at = table_get(&names.by_id, id);
    return at == TABLE_NONE ? NULL : &names.list[at];
}

bool thread_names_find(uint64_t id, uint64_t stamp, char into[TASKPROF_NAME_SIZE])
{
    lock_acquire(&names_lock);
    struct thread_name *name = find(id);
    bool noted_in_this = name && name->round == names.round;
    bool its_turn = !noted_in_this && (id + names.round) % THREAD_NAMES_TURNS == 0;
    bool found = name && name->stamp == stamp && !its_turn;
    if (found) {
        name->round = names.round;
        memcpy(into, name->name, TASKPROF_NAME_SIZE);
    }
    lock_release(&names_lock);
    return found;
}

static struct thread_name *add(uint64_t id)
{
    void *list =
        array_grow(names.list, names.count, &names.capacity, sizeof(*names.list), FIRST_NAMES);
    if (!list)
        return NULL;
    names.list = list;
    if (!table_put(&names.by_id, id, (uint32_t)names.count))
        return NULL;
    return &names.list[names.count++];
}

void thread_names_note(uint64_t id, uint64_t stamp, const char name[TASKPROF_NAME_SIZE])
{
    lock_acquire(&names_lock);
    struct thread_name *entry = find(id);
    if (!entry)
        entry = add(id);
    if (entry) {
        *entry = (struct thread_name){.id = id, .stamp = stamp, .round = names.round};
        memcpy(entry->name, name, TASKPROF_NAME_SIZE);
    }
    lock_release(&names_lock);
}

void thread_names_after_fork(void)
{
    // Another thread of the parent may have been in the midst of a change: nothing is known.
    lock_reset(&names_lock);
    memset(&names, 0, sizeof(names));
}
