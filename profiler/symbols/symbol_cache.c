#include "profiler/symbols/symbol_cache.h"

#include "profiler/base/budget.h"
#include "profiler/base/epoch.h"
#include "profiler/base/hash.h"
#include "profiler/symbols/symbol_text.h"

#include <stdatomic.h>

enum { BUCKETS_FIRST = 4096 };

struct lock symbol_cache_lock = LOCK_INIT;

struct budget symbol_cache_budget =
    BUDGET_INIT("addresses", "they are shown without names", (size_t)128 << 20);

struct generation {
    struct arena memory; // of entries and symbols
    struct symbol_entry **buckets;
    size_t bucket_count; // a power of two
    size_t count;
};

static struct generation cache; // the young one
static struct generation last;  // waits for its ticket
static bool has_last;
static uint64_t ticket;
static bool last_in_use;        // by who works on an entry
static bool in_use;             // the same of the young one
static _Atomic uint32_t number; // of the young one; written under the lock

static const struct symbol_frame unknown_frame = {.function = "", .file = ""};
const struct symbol symbol_cache_unknown = {.count = 1, .frames = &unknown_frame};

static size_t bucket_of(uintptr_t address, uint64_t identity)
{
    return hash_mix(address, identity) & (cache.bucket_count - 1);
}

uint32_t symbol_cache_generation(void)
{
    // Acquire: pairs with the release in symbol_cache_turn.
    return atomic_load_explicit(&number, memory_order_acquire);
}

static void give_back(struct generation *generation)
{
    memory_unmap(generation->buckets, generation->bucket_count * sizeof(struct symbol_entry *));
    arena_release(&generation->memory);
    *generation = (struct generation){0};
}

static bool is_full(void)
{
    return cache.memory.mapped + cache.bucket_count * sizeof(struct symbol_entry *) >
           symbol_cache_budget.limit;
}

bool symbol_cache_is_due(void)
{
    // Who works on an entry keeps strings of its generation, too.
    if (last_in_use)
        return false;
    if (has_last && epoch_passed(ticket)) {
        has_last = false;
        give_back(&last);
    }
    // Both are given back before the next turn: the one refers to the other.
    bool texts_are_due = symbol_text_is_due();
    return !has_last && !symbol_text_has_old() && (texts_are_due || is_full());
}

void symbol_cache_use(void)
{
    in_use = true;
}

void symbol_cache_used(void)
{
    in_use = last_in_use = false;
}

void symbol_cache_turn(void)
{
    last = cache;
    last_in_use = in_use;
    in_use = false;
    cache = (struct generation){0};
    symbol_text_start_anew();
    // Release: whoever reads the new number keeps strings in the new generation.
    atomic_fetch_add_explicit(&number, 1, memory_order_release);
    ticket = epoch_retire();
    has_last = true;
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
    if (draft->generation != symbol_cache_generation())
        return NULL;
    struct symbol_entry *entry = NULL;
    if (!is_full() && make_room())
        entry = arena_alloc(&cache.memory, sizeof(*entry));
    const struct symbol *symbol = entry ? make_symbol(draft) : NULL;
    if (!symbol) {
        budget_leave_out(&symbol_cache_budget);
        return NULL;
    }
    struct symbol_entry **bucket = &cache.buckets[bucket_of(address, identity)];
    *entry = (struct symbol_entry){.chain = *bucket,
                                   .address = address,
                                   .identity = identity,
                                   .symbol = symbol,
                                   .generation = draft->generation};
    *bucket = entry;
    cache.count++;
    return entry;
}

void symbol_cache_improve(struct symbol_entry *entry, const struct symbol_draft *draft)
{
    uint32_t generation = symbol_cache_generation();
    if (draft->generation != generation || entry->generation != generation)
        return;
    const struct symbol *symbol = is_full() ? NULL : make_symbol(draft);
    if (symbol)
        entry->symbol = symbol;
    else
        budget_leave_out(&symbol_cache_budget);
}

void symbol_cache_after_fork(void)
{
    // Another thread of the parent may have been in the midst of a change: start with nothing. What
    // was handed out stays where it is.
    if (!lock_try(&symbol_cache_lock)) {
        cache = last = (struct generation){0};
        has_last = false;
        intern_after_fork(&symbol_text_table);
        atomic_fetch_add_explicit(&number, 1, memory_order_relaxed);
    }
    in_use = last_in_use = false;
    lock_reset(&symbol_cache_lock);
}
