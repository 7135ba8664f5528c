#include "profiler/symbols/symbol_cache.h"

#include "profiler/base/hash.h"

enum { BUCKETS_FIRST = 4096, ENTRIES_MAX = 1 << 20 };

struct lock symbol_cache_lock = LOCK_INIT;

static struct {
    struct arena memory; // of entries and symbols: never released
    struct symbol_entry **buckets;
    size_t bucket_count; // a power of two
    size_t count;
} cache;

static const struct symbol_frame unknown_frame = {.function = "", .file = ""};
const struct symbol symbol_cache_unknown = {.count = 1, .frames = &unknown_frame};

static size_t bucket_of(uintptr_t address, uint64_t identity)
{
    return hash_mix(address, identity) & (cache.bucket_count - 1);
}

static bool make_room(void)
{
    if (cache.count < cache.bucket_count)
        return true;
    struct symbol_entry **old = cache.buckets;
    size_t old_count = cache.bucket_count;
    size_t count = old_count ? old_count * 2 : BUCKETS_FIRST;
    struct symbol_entry **fresh = memory_map_table(count * sizeof(struct symbol_entry *));
    if (!fresh)
        return old_count > 0;
    cache.buckets = fresh;
    cache.bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        struct symbol_entry *next;
        for (struct symbol_entry *entry = old[i]; entry; entry = next) {
            next = entry->chain;
            struct symbol_entry **bucket = &fresh[bucket_of(entry->address, entry->identity)];
            entry->chain = *bucket;
            *bucket = entry;
        }
    }
    memory_unmap(old, old_count * sizeof(struct symbol_entry *));
    return true;
}

struct symbol_entry *symbol_cache_find(uintptr_t address, uint64_t identity)
{
    if (!cache.bucket_count)
        return NULL;
    struct symbol_entry *entry = cache.buckets[bucket_of(address, identity)];
    while (entry && (entry->address != address || entry->identity != identity))
        entry = entry->chain;
    return entry;
}

static const struct symbol *make_symbol(const struct symbol_draft *draft)
{
    struct symbol *symbol = arena_alloc(&cache.memory, sizeof(*symbol));
    struct symbol_frame *frames =
        arena_copy(&cache.memory, draft->frames, draft->count * sizeof(*frames));
    if (!symbol || !frames)
        return NULL;
    *symbol = (struct symbol){.address = draft->address,
                              .entry = draft->entry,
                              .count = draft->count,
                              .has_lines = draft->has_lines,
                              .frames = frames};
    return symbol;
}

struct symbol_entry *symbol_cache_add(uintptr_t address, uint64_t identity,
                                      const struct symbol_draft *draft)
{
    if (cache.count >= ENTRIES_MAX || !make_room())
        return NULL;
    struct symbol_entry *entry = arena_alloc(&cache.memory, sizeof(*entry));
    const struct symbol *symbol = entry ? make_symbol(draft) : NULL;
    if (!symbol)
        return NULL;
    struct symbol_entry **bucket = &cache.buckets[bucket_of(address, identity)];
    *entry = (struct symbol_entry){
        .chain = *bucket, .address = address, .identity = identity, .symbol = symbol};
    *bucket = entry;
    cache.count++;
    return entry;
}

void symbol_cache_improve(struct symbol_entry *entry, const struct symbol_draft *draft)
{
    const struct symbol *symbol = make_symbol(draft);
    if (symbol)
        entry->symbol = symbol;
}

void symbol_cache_after_fork(void)
{
    // Another thread of the parent may have been in the midst of a change: start with nothing. What
    // was handed out stays where it is.
    if (!lock_try(&symbol_cache_lock)) {
        cache.memory = (struct arena){0};
        cache.buckets = NULL;
        cache.bucket_count = 0;
        cache.count = 0;
    }
    lock_reset(&symbol_cache_lock);
}
