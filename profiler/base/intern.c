#include "profiler/base/intern.h"

#include "profiler/base/clock.h"
#include "profiler/base/epoch.h"
#include "profiler/base/hash.h"
#include "profiler/base/memory.h"

#include <string.h>

// A string's header; its bytes follow. Written once, before its id is published in a chain.
struct entry {
    _Atomic uint32_t next; // the chain's next id, 0 at its end
    uint32_t hash;
    uint32_t length;
    uint32_t id; // its own: what is no id is told by it
};

// Of a turn that may gain nothing, to the next one.
static const uint64_t FUTILE_PAUSE_NS = 60 * 1000000000ull;

// Ids 0 and 1 mean something else; the highest bit is the generation.
enum { UNIT = 8, FIRST_UNIT = 2, GENERATION_SHIFT = 31 };

static struct intern_generation *generation_of(const struct intern *table, uint32_t id)
{
    return (struct intern_generation *)&table->generations[id >> GENERATION_SHIFT];
}

static struct entry *entry_at(const struct intern_generation *generation, uint32_t id)
{
    uint64_t offset = (uint64_t)(id << 1 >> 1) * UNIT;
    // What is no id may be behind the end, or so near to a chunk's that no header fits.
    if (offset / INTERN_CHUNK_BYTES >= INTERN_CHUNKS ||
        offset % INTERN_CHUNK_BYTES > INTERN_CHUNK_BYTES - sizeof(struct entry))
        return NULL;
    // Acquire: pairs with chunk_ensure's release, so that the chunk is seen mapped.
    char *chunk = atomic_load_explicit(&generation->chunks[offset / INTERN_CHUNK_BYTES],
                                       memory_order_acquire);
    return chunk ? (struct entry *)(chunk + offset % INTERN_CHUNK_BYTES) : NULL;
}

static char *chunk_ensure(struct intern_generation *generation, size_t index)
{
    char *chunk = atomic_load_explicit(&generation->chunks[index], memory_order_acquire);
    if (chunk)
        return chunk;
    char *fresh = memory_map(INTERN_CHUNK_BYTES);
    if (!fresh)
        return NULL;
    // Acquire-release: publishes the fresh chunk, or sees the one that another thread published.
    if (atomic_compare_exchange_strong_explicit(&generation->chunks[index], &chunk, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    memory_unmap(fresh, INTERN_CHUNK_BYTES);
    return chunk;
}

static _Atomic uint32_t *buckets_ensure(struct intern_generation *generation)
{
    _Atomic uint32_t *buckets = atomic_load_explicit(&generation->buckets, memory_order_acquire);
    if (buckets)
        return buckets;
    size_t bytes = INTERN_BUCKETS * sizeof(*buckets);
    _Atomic uint32_t *fresh = memory_map_table(bytes);
    if (!fresh)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&generation->buckets, &buckets, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    memory_unmap((void *)fresh, bytes);
    return buckets;
}

// Space for a string, or 0 when the young generation may have no more than `limit` bytes. A string
// never straddles two chunks: what is left of a chunk is given up.
static uint32_t claim(struct intern_generation *generation, size_t bytes, size_t limit)
{
    uint64_t units = (bytes + UNIT - 1) / UNIT;
    uint64_t per_chunk = INTERN_CHUNK_BYTES / UNIT;
    uint64_t end = limit / UNIT;
    if (end > (uint64_t)INTERN_CHUNKS * per_chunk)
        end = (uint64_t)INTERN_CHUNKS * per_chunk;
    uint64_t used = atomic_load_explicit(&generation->used, memory_order_relaxed);
    for (;;) {
        uint64_t at = used < FIRST_UNIT ? FIRST_UNIT : used;
        if (at / per_chunk != (at + units - 1) / per_chunk)
            at = (at / per_chunk + 1) * per_chunk;
        if (at + units > end)
            return 0;
        if (atomic_compare_exchange_weak_explicit(&generation->used, &used, at + units,
                                                  memory_order_relaxed, memory_order_relaxed))
            return (uint32_t)at;
    }
}

static uint32_t find(const struct intern_generation *generation, uint32_t id, uint32_t end,
                     uint32_t hash, const void *bytes, size_t length)
{
    while (id && id != end) {
        struct entry *entry = entry_at(generation, id);
        if (entry->hash == hash && entry->length == length && memcmp(entry + 1, bytes, length) == 0)
            return id;
        id = atomic_load_explicit(&entry->next, memory_order_relaxed);
    }
    return 0;
}

static uint32_t reject(struct intern *table)
{
    budget_leave_out(&table->budget);
    return INTERN_FULL;
}

// *ret_added is what the table has grown by, to at most `limit` bytes; not written if it has the
// bytes already.
static uint32_t add(struct intern *table, const void *bytes, size_t length, size_t limit,
                    size_t *ret_added)
{
    if (length == 0)
        return INTERN_NONE;
    // Acquire: pairs with intern_turn, which left the other generation empty.
    uint32_t young = atomic_load_explicit(&table->young, memory_order_acquire);
    struct intern_generation *generation = &table->generations[young];
    _Atomic uint32_t *buckets = length <= UINT16_MAX ? buckets_ensure(generation) : NULL;
    if (!buckets)
        return reject(table);
    uint32_t hash = (uint32_t)hash_bytes(bytes, length);
    _Atomic uint32_t *head = &buckets[hash % INTERN_BUCKETS];
    // Acquire: pairs with the release below; the entries behind the head are seen whole.
    uint32_t first = atomic_load_explicit(head, memory_order_acquire);
    uint32_t id = find(generation, first, 0, hash, bytes, length);
    if (id)
        return id;

    uint32_t unit = claim(generation, sizeof(struct entry) + length, limit);
    if (!unit || !chunk_ensure(generation, (uint64_t)unit * UNIT / INTERN_CHUNK_BYTES))
        return reject(table);
    uint32_t fresh = young << GENERATION_SHIFT | unit;
    struct entry *entry = entry_at(generation, fresh);
    entry->hash = hash;
    entry->length = (uint32_t)length;
    entry->id = fresh;
    memcpy(entry + 1, bytes, length);
    for (;;) {
        atomic_store_explicit(&entry->next, first, memory_order_relaxed);
        uint32_t seen = first;
        if (atomic_compare_exchange_strong_explicit(head, &seen, fresh, memory_order_release,
                                                    memory_order_acquire)) {
            *ret_added = (sizeof(*entry) + length + UNIT - 1) / UNIT * UNIT;
            return fresh;
        }
        // Somebody was faster; perhaps with these very bytes (ours are then left unused).
        id = find(generation, seen, first, hash, bytes, length);
        if (id)
            return id;
        first = seen;
    }
}

uint32_t intern(struct intern *table, const void *bytes, size_t length)
{
    size_t added;
    // Relaxed: whoever misses that room is held back takes some that would not have been wanted, at
    // the worst.
    size_t reserved = atomic_load_explicit(&table->reserved, memory_order_relaxed);
    return add(table, bytes, length, table->budget.limit - reserved, &added);
}

const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_length)
{
    *ret_length = 0;
    const struct intern_generation *generation = generation_of(table, id);
    if (id <= INTERN_FULL ||
        id << 1 >> 1 >= atomic_load_explicit(&generation->used, memory_order_relaxed))
        return NULL;
    struct entry *entry = entry_at(generation, id);
    if (!entry || entry->id != id)
        return NULL;
    *ret_length = entry->length;
    return entry + 1;
}

static size_t bytes_of(const struct intern_generation *generation)
{
    return atomic_load_explicit(&generation->used, memory_order_relaxed) * UNIT;
}

static uint32_t young_of(const struct intern *table)
{
    return atomic_load_explicit(&table->young, memory_order_relaxed);
}

size_t intern_bytes(const struct intern *table)
{
    return bytes_of(&table->generations[young_of(table)]);
}

// The pointers go first: the child of a fork that comes meanwhile must not give anything back
// again.
static void give_back(struct intern_generation *generation)
{
    atomic_store_explicit(&generation->used, 0, memory_order_relaxed);
    _Atomic uint32_t *buckets =
        atomic_exchange_explicit(&generation->buckets, NULL, memory_order_relaxed);
    memory_unmap((void *)buckets, INTERN_BUCKETS * sizeof(*buckets));
    for (size_t i = 0; i < INTERN_CHUNKS; i++) {
        if (!atomic_load_explicit(&generation->chunks[i], memory_order_relaxed))
            continue;
        char *chunk = atomic_exchange_explicit(&generation->chunks[i], NULL, memory_order_relaxed);
        memory_unmap(chunk, INTERN_CHUNK_BYTES);
    }
}

bool intern_is_due(struct intern *table)
{
    if (table->old == INTERN_RETIRED && epoch_passed(table->ticket)) {
        give_back(&table->generations[!young_of(table)]);
        table->old = INTERN_NO_OLD;
    }
    if (table->old != INTERN_NO_OLD)
        return false;
    size_t limit = table->budget.limit;
    size_t moved = atomic_load_explicit(&table->moved, memory_order_relaxed);
    size_t room = moved < limit ? limit - moved : 0;
    size_t fresh = intern_bytes(table) > moved ? intern_bytes(table) - moved : 0;
    if (room >= limit / 8)
        return fresh >= room / 4 * 3;
    return atomic_load_explicit(&table->budget.left_out, memory_order_relaxed) !=
               table->turned_away &&
           clock_coarse_ns() - table->turned_ns >= FUTILE_PAUSE_NS;
}

void intern_turn(struct intern *table)
{
    table->turned_ns = clock_coarse_ns();
    table->turned_away = atomic_load_explicit(&table->budget.left_out, memory_order_relaxed);
    table->old = INTERN_TURNED;
    size_t moved = atomic_exchange_explicit(&table->moved, 0, memory_order_relaxed);
    atomic_store_explicit(&table->reserved,
                          moved < table->budget.limit ? moved : table->budget.limit,
                          memory_order_relaxed);
    // Release: pairs with the acquire in intern. The fork's child that sees the one without the
    // other renews what needs none.
    atomic_store_explicit(&table->young, !young_of(table), memory_order_release);
    table->ticket = epoch_retire();
}

bool intern_may_renew(const struct intern *table)
{
    return table->old == INTERN_TURNED && epoch_sections_passed(table->ticket);
}

uint32_t intern_move(struct intern *table, const void *bytes, size_t length)
{
    size_t added = 0;
    uint32_t id = add(table, bytes, length, 2 * table->budget.limit, &added);
    if (added)
        atomic_fetch_add_explicit(&table->moved, added, memory_order_relaxed);
    return id;
}

uint32_t intern_renew(struct intern *table, uint32_t id)
{
    if (id <= INTERN_FULL || id >> GENERATION_SHIFT == young_of(table))
        return id;
    size_t length;
    const void *bytes = intern_get(table, id, &length);
    return bytes ? intern_move(table, bytes, length) : INTERN_NONE;
}

void intern_retire(struct intern *table)
{
    atomic_store_explicit(&table->reserved, 0, memory_order_relaxed);
    table->ticket = epoch_retire();
    table->old = INTERN_RETIRED;
}

void intern_start_anew(struct intern *table)
{
    intern_turn(table);
    intern_retire(table);
}

void intern_after_fork(struct intern *table)
{
    if (table->old == INTERN_TURNED)
        intern_retire(table);
}
