// Slots of one size that never move: the registry of tasks and that of channels.
//
// A slot's memory stays mapped for ever once it was used, so a collector may look at any slot at
// any time; what it finds there is for the slot's own state field to say. Allocation and release
// take no lock. Freed slots are used again, last freed first.

#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { SLAB_CHUNK_SLOTS = 4096, SLAB_CHUNKS = 16384 }; // 67 million slots

// Initialise with SLAB_INIT(size). slot_size is a multiple of 64, for cache lines. The first 8
// bytes of a free slot are the slab's; all else keeps what it held, for whoever looks late.
struct slab {
    size_t slot_size;
    _Atomic(char *) chunks[SLAB_CHUNKS];
    _Atomic uint32_t high;      // slots ever used: indexes 0 … high-1
    _Atomic uint64_t free_head; // (tag << 32) | (index + 1), 0 in the low half when empty
};

#define SLAB_INIT(size)     \
    {                       \
        .slot_size = (size) \
    }

// A slot, its index in *ret_index; NULL when the kernel has no memory or all slots are taken.
// A slot that was never used is zeroed. Any thread.
void *slab_take(struct slab *slab, uint32_t *ret_index);

// Gives a slot back. Nobody may use it after, but late readers may still read it.
void slab_give(struct slab *slab, uint32_t index);

// The slot at an index below slab_high; NULL while another thread is still mapping its chunk. Slots
// up to the next multiple of SLAB_CHUNK_SLOTS follow one another.
static inline void *slab_at(const struct slab *slab, uint32_t index)
{
    // Acquire: pairs with the release in chunk_ensure.
    char *chunk =
        atomic_load_explicit(&slab->chunks[index / SLAB_CHUNK_SLOTS], memory_order_acquire);
    return chunk ? chunk + index % SLAB_CHUNK_SLOTS * slab->slot_size : NULL;
}

// How many indexes have ever been used. Grows, never shrinks.
static inline uint32_t slab_high(const struct slab *slab)
{
    // Acquire: pairs with the exchange in slab_take.
    return atomic_load_explicit(&slab->high, memory_order_acquire);
}
