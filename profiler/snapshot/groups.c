#include "profiler/snapshot/groups.h"

#include "profiler/base/array.h"
#include "profiler/base/hash.h"

#include <string.h>

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

const uint64_t snapshot_age_limits_ns[SNAPSHOT_AGES - 1] = {
    SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 24 * HOUR,
};

enum { FIRST_GROUPS = 64, FORGET_ABOVE = 4096 };

_Static_assert(sizeof(struct group_key) == 16, "no padding: keys are hashed and compared as bytes");

static bool reserve(struct groups *groups)
{
    void *list = array_grow(groups->list, groups->count, &groups->capacity, sizeof(*groups->list),
                            FIRST_GROUPS);
    if (list)
        groups->list = list;
    return list != NULL;
}

uint32_t groups_find(struct groups *groups, const struct group_key *key)
{
    if (groups->last < groups->count &&
        memcmp(&groups->list[groups->last].key, key, sizeof(*key)) == 0)
        return groups->last;
    uint64_t hash = hash_bytes(key, sizeof(*key));
    uint32_t first = table_get(&groups->by_hash, hash);
    for (uint32_t at = first; at != TABLE_NONE; at = groups->list[at].next)
        if (memcmp(&groups->list[at].key, key, sizeof(*key)) == 0)
            return groups->last = at;
    if (groups->count >= GROUP_NONE || !reserve(groups))
        return GROUP_NONE;
    uint32_t number = (uint32_t)groups->count;
    if (!table_put(&groups->by_hash, hash, number))
        return GROUP_NONE;
    groups->list[number] = (struct group){.key = *key, .next = first};
    groups->count++;
    return number;
}

void groups_add(struct group *group, const struct group_member *member, uint64_t since_ns)
{
    groups_add_aged(group, member,
                    member->wait_start_ns ? groups_age(member->wait_ns) : SNAPSHOT_AGES,
                    member->wait_start_ns < since_ns);
}

bool groups_begin(struct groups *groups)
{
    size_t empty = 0;
    for (size_t i = 0; i < groups->count; i++) {
        struct group *group = &groups->list[i];
        empty += group->count == 0;
        *group = (struct group){.key = group->key, .next = group->next};
    }
    if (groups->count <= FORGET_ABOVE || empty <= groups->count / 2)
        return false;
    groups_forget(groups);
    return true;
}

void groups_forget(struct groups *groups)
{
    memory_unmap(groups->list, groups->capacity * sizeof(*groups->list));
    table_release(&groups->by_hash);
    *groups = (struct groups){0};
}
