#include "profiler/base/slab.h"

#include "profiler/base/memory.h"

static char *chunk_ensure(struct slab *slab, uint32_t number)
{
    char *chunk = atomic_load_explicit(&slab->chunks[number], memory_order_acquire);
    if (chunk)
        return chunk;
    size_t bytes = slab->slot_size * SLAB_CHUNK_SLOTS;
    char *fresh = memory_map(bytes);
    if (!fresh)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&slab->chunks[number], &chunk, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    memory_unmap(fresh, bytes);
    return chunk;
}

// The link of a free slot: the index + 1 of the next one.
static _Atomic uint64_t *link_of(void *slot)
{
    return slot;
}

void *slab_take(struct slab *slab, uint32_t *ret_index)
{
    uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_acquire);
    while ((uint32_t)head) {
        uint32_t index = (uint32_t)head - 1;
        void *slot = slab_at(slab, index);
        // Another thread may have taken the slot by now and be writing there: the value is then
        // thrown away, because the tag has moved on and the exchange fails.
        uint64_t next = atomic_load_explicit(link_of(slot), memory_order_relaxed);
        uint64_t fresh = ((head >> 32) + 1) << 32 | (uint32_t)next;
        if (atomic_compare_exchange_weak_explicit(&slab->free_head, &head, fresh,
                                                  memory_order_acquire, memory_order_acquire)) {
            *ret_index = index;
            return slot;
        }
    }
    uint32_t high = atomic_load_explicit(&slab->high, memory_order_relaxed);
    do {
        if (high >= (uint32_t)SLAB_CHUNKS * SLAB_CHUNK_SLOTS)
            return NULL;
        // Before the index is published, so that a collector finds the chunk behind it.
        if (!chunk_ensure(slab, high / SLAB_CHUNK_SLOTS))
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&slab->high, &high, high + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    *ret_index = high;
    return slab_at(slab, high);
}

void slab_give(struct slab *slab, uint32_t index)
{
    void *slot = slab_at(slab, index);
    uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_relaxed);
    for (;;) {
        atomic_store_explicit(link_of(slot), (uint32_t)head, memory_order_relaxed);
        uint64_t fresh = ((head >> 32) + 1) << 32 | (index + 1);
        // Release: the next owner sees the slot as it was left.
        if (atomic_compare_exchange_weak_explicit(&slab->free_head, &head, fresh,
                                                  memory_order_release, memory_order_relaxed))
            return;
    }
}
