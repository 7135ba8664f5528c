#include "profiler/base/spare.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#if defined(__has_feature) // clang's way to say it
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

// Address and number of pages of one region each, for an address of a page leaves the low bits
// free; 0: none. Release on the way in and acquire on the way out: what the one who gave it back
// did to it is over.
static _Atomic uintptr_t spares[SPARES];
static _Atomic unsigned kept; // pages in all, or some more: counted before they come, after they go
static _Atomic unsigned next_victim;

static size_t pages_of(size_t bytes)
{
    return (bytes + SPARE_PAGE - 1) / SPARE_PAGE;
}

static void *open_spare(uintptr_t spare, size_t *ret_bytes)
{
    void *pages = (void *)(spare & ~(uintptr_t)(SPARE_PAGE - 1));
    unsigned count = spare & (SPARE_PAGE - 1);
    *ret_bytes = (size_t)count * SPARE_PAGE;
    atomic_fetch_sub_explicit(&kept, count, memory_order_relaxed);
    ASAN_UNPOISON_MEMORY_REGION(pages, *ret_bytes);
    return pages;
}

void *spare_take(size_t bytes)
{
    size_t wanted = pages_of(bytes);
    for (size_t i = 0; wanted && bytes <= SPARE_BYTES_MAX && i < SPARES; i++) {
        uintptr_t spare = atomic_load_explicit(&spares[i], memory_order_relaxed);
        // An equal value is an equal region, whoever had it in between.
        if ((spare & (SPARE_PAGE - 1)) != wanted ||
            !atomic_compare_exchange_strong_explicit(&spares[i], &spare, 0, memory_order_acquire,
                                                     memory_order_relaxed))
            continue;
        size_t size;
        void *pages = open_spare(spare, &size);
        return memset(pages, 0, size);
    }
    return NULL;
}

bool spare_keep(void *pages, size_t bytes)
{
    unsigned count = bytes <= SPARE_BYTES_MAX ? (unsigned)pages_of(bytes) : 0;
    if (!count)
        return false;
    bool fits =
        atomic_fetch_add_explicit(&kept, count, memory_order_relaxed) + count <= SPARE_PAGES_ALL;
    ASAN_POISON_MEMORY_REGION(pages, (size_t)count * SPARE_PAGE);
    for (size_t i = 0; fits && i < SPARES; i++) {
        uintptr_t none = 0;
        if (atomic_load_explicit(&spares[i], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&spares[i], &none, (uintptr_t)pages | count,
                                                    memory_order_release, memory_order_relaxed))
            return true;
    }
    ASAN_UNPOISON_MEMORY_REGION(pages, (size_t)count * SPARE_PAGE);
    atomic_fetch_sub_explicit(&kept, count, memory_order_relaxed);
    return false;
}

void *spare_evict(size_t *ret_bytes)
{
    for (size_t i = 0; i < SPARES; i++) {
        unsigned victim = atomic_fetch_add_explicit(&next_victim, 1, memory_order_relaxed) % SPARES;
        uintptr_t spare = atomic_exchange_explicit(&spares[victim], 0, memory_order_acquire);
        if (spare)
            return open_spare(spare, ret_bytes);
    }
    return NULL;
}

void spare_after_fork(void)
{
    unsigned pages = 0;
    for (size_t i = 0; i < SPARES; i++)
        pages += atomic_load_explicit(&spares[i], memory_order_relaxed) & (SPARE_PAGE - 1);
    atomic_store_explicit(&kept, pages, memory_order_relaxed);
}
