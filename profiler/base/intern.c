#include "profiler/base/intern.h"

#include "profiler/base/hash.h"
#include "profiler/base/memory.h"

#include <string.h>

// A string's header; its bytes follow. Written once, before its id is published in a chain.
struct entry {
    _Atomic uint32_t next; // the chain's next id, 0 at its end
    uint32_t hash;
    uint32_t length;
    uint32_t pad;
};

enum { UNIT = 8, FIRST_UNIT = 2 }; // ids 0 and 1 mean something else

static struct entry *entry_at(const struct intern *table, uint32_t id)
{
    uint64_t offset = (uint64_t)id * UNIT;
    // Acquire: pairs with chunk_ensure's release, so that the chunk is seen mapped.
    char *chunk =
        atomic_load_explicit(&table->chunks[offset / INTERN_CHUNK_BYTES], memory_order_acquire);
    return chunk ? (struct entry *)(chunk + offset % INTERN_CHUNK_BYTES) : NULL;
}

static char *chunk_ensure(struct intern *table, size_t index)
{
    char *chunk = atomic_load_explicit(&table->chunks[index], memory_order_acquire);
    if (chunk)
        return chunk;
    char *fresh = memory_map(INTERN_CHUNK_BYTES);
    if (!fresh)
        return NULL;
    // Acquire-release: publishes the fresh chunk, or sees the one that another thread published.
    if (atomic_compare_exchange_strong_explicit(&table->chunks[index], &chunk, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    memory_unmap(fresh, INTERN_CHUNK_BYTES);
    return chunk;
}

static _Atomic uint32_t *buckets_ensure(struct intern *table)
{
    _Atomic uint32_t *buckets = atomic_load_explicit(&table->buckets, memory_order_acquire);
    if (buckets)
        return buckets;
    size_t bytes = INTERN_BUCKETS * sizeof(*buckets);
    _Atomic uint32_t *fresh = memory_map_table(bytes);
    if (!fresh)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&table->buckets, &buckets, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    memory_unmap((void *)fresh, bytes);
    return buckets;
}

// Space for a string, or 0 at the limit. A string never straddles two chunks: what is left of a
// chunk is given up.
static uint32_t claim(struct intern *table, size_t bytes)
{
    uint64_t units = (bytes + UNIT - 1) / UNIT;
    uint64_t per_chunk = INTERN_CHUNK_BYTES / UNIT;
    uint64_t limit = table->limit / UNIT;
    if (limit > (uint64_t)INTERN_CHUNKS * per_chunk)
        limit = (uint64_t)INTERN_CHUNKS * per_chunk;
    uint64_t used = atomic_load_explicit(&table->used, memory_order_relaxed);
    for (;;) {
        uint64_t at = used < FIRST_UNIT ? FIRST_UNIT : used;
        if (at / per_chunk != (at + units - 1) / per_chunk)
            at = (at / per_chunk + 1) * per_chunk;
        if (at + units > limit)
            return 0;
        if (atomic_compare_exchange_weak_explicit(&table->used, &used, at + units,
                                                  memory_order_relaxed, memory_order_relaxed))
            return (uint32_t)at;
    }
}

static uint32_t find(const struct intern *table, uint32_t id, uint32_t end, uint32_t hash,
                     const void *bytes, size_t length)
{
    while (id && id != end) {
        struct entry *entry = entry_at(table, id);
        if (entry->hash == hash && entry->length == length && memcmp(entry + 1, bytes, length) == 0)
            return id;
        id = atomic_load_explicit(&entry->next, memory_order_relaxed);
    }
    return 0;
}

static uint32_t reject(struct intern *table)
{
    atomic_fetch_add_explicit(&table->rejected, 1, memory_order_relaxed);
    return INTERN_FULL;
}

uint32_t intern(struct intern *table, const void *bytes, size_t length)
{
    if (length == 0)
        return INTERN_NONE;
    _Atomic uint32_t *buckets = length <= UINT16_MAX ? buckets_ensure(table) : NULL;
    if (!buckets)
        return reject(table);
    uint32_t hash = (uint32_t)hash_bytes(bytes, length);
    _Atomic uint32_t *head = &buckets[hash % INTERN_BUCKETS];
    // Acquire: pairs with the release below; the entries behind the head are seen whole.
    uint32_t first = atomic_load_explicit(head, memory_order_acquire);
    uint32_t id = find(table, first, 0, hash, bytes, length);
    if (id)
        return id;

    uint32_t fresh = claim(table, sizeof(struct entry) + length);
    if (!fresh || !chunk_ensure(table, (uint64_t)fresh * UNIT / INTERN_CHUNK_BYTES))
        return reject(table);
    struct entry *entry = entry_at(table, fresh);
    entry->hash = hash;
    entry->length = (uint32_t)length;
    memcpy(entry + 1, bytes, length);
    for (;;) {
        atomic_store_explicit(&entry->next, first, memory_order_relaxed);
        uint32_t seen = first;
        if (atomic_compare_exchange_strong_explicit(head, &seen, fresh, memory_order_release,
                                                    memory_order_acquire))
            return fresh;
        // Somebody was faster; perhaps with these very bytes (ours are then left unused).
        id = find(table, seen, first, hash, bytes, length);
        if (id)
            return id;
        first = seen;
    }
}

const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_length)
{
    *ret_length = 0;
    if (id <= INTERN_FULL || id >= atomic_load_explicit(&table->used, memory_order_relaxed))
        return NULL;
    struct entry *entry = entry_at(table, id);
    if (!entry)
        return NULL;
    *ret_length = entry->length;
    return entry + 1;
}

size_t intern_bytes(const struct intern *table)
{
    return atomic_load_explicit(&table->used, memory_order_relaxed) * UNIT;
}
