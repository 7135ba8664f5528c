#include "profiler/described/glib.h"

#include "profiler/base/epoch.h"
#include "profiler/base/safe_read.h"
#include "profiler/described/held.h"
#include "profiler/symbols/symbol_modules.h"

#include <string.h>

// GLib's own condition variables are futexes, waited on by syscall(): what the preloaded library
// parks on is GCond's counter. The queue is private to gasyncqueue.c, and the same in every version
// since 2.36 (2013), the first with such condition variables.
struct async_queue {
    uint32_t mutex[2];
    void *cond_unused;
    uint32_t cond[2]; // [0] is the futex
    void *head;
    void *tail;
    uint32_t length;
    void *item_free;
    uint32_t waiting;
    int32_t references;
};

enum { FRAMES_BEFORE = 4, SANE_COUNT = 1 << 20, READS = 3, LOOKED_AT = 4096 };

static bool is_glib(const struct mapping *mapping)
{
    const char *name = strrchr(mapping->path, '/');
    return name && strncmp(name, "/libglib-2.0.so", strlen("/libglib-2.0.so")) == 0;
}

bool glib_is_loaded(void)
{
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_mapping;
    bool found = false;
    struct epoch_hold hold = {0};
    maps_refresh();
    epoch_hold(&hold);
    int count = maps_list(&arena, &mappings, &main_mapping);
    for (int i = 0; i < count; i++)
        found |= is_glib(&mappings[i]);
    epoch_release(&hold);
    arena_release(&arena);
    return found;
}

// Nothing stops the queue while it is read: what contradicts itself is read again.
static bool is_async_queue(uintptr_t base)
{
    struct async_queue queue;
    for (int i = 0; i < READS; i++) {
        if (safe_read(base, &queue, sizeof(queue)) != sizeof(queue))
            return false;
        bool is_empty = queue.length == 0;
        if (queue.references > 0 && queue.references < SANE_COUNT && queue.waiting < SANE_COUNT &&
            is_empty == !queue.head && is_empty == !queue.tail)
            return true;
    }
    return false;
}

#define QUEUE_LAYOUT(of)                                                                        \
    {                                                                                           \
        .description = (of), .size = sizeof(struct async_queue), .makes_sense = is_async_queue, \
        .paths = {[ROLE_LENGTH] = {.count = 1,                                                  \
                                   .steps[0].offset = offsetof(struct async_queue, length),     \
                                   .size = sizeof(uint32_t)}},                                  \
    }

static const struct description queue_description = {.type = "GAsyncQueue",
                                                     .capacity = TASKPROF_UNKNOWN};
static const struct description pool_description = {.type = "GThreadPool",
                                                    .capacity = TASKPROF_UNKNOWN};
static const struct layout queue_layout = QUEUE_LAYOUT(&queue_description);
static const struct layout pool_layout = QUEUE_LAYOUT(&pool_description);

// A frame's function in GLib.
struct place {
    struct symbol_module *module; // NULL: it is elsewhere
    uint64_t address;             // of the file
    struct elf_symbol symbol;     // length 0: it has no name
};

static struct place place_of(uintptr_t return_address)
{
    struct place place = {0};
    struct mapping mapping;
    if (!maps_find(return_address - 1, &mapping) || !is_glib(&mapping))
        return place;
    place.module = symbol_modules_get(&mapping);
    place.address = return_address - 1 - mapping.bias;
    if (!place.module || !elf_symbols_find(&place.module->names, place.address, &place.symbol))
        place.symbol.length = 0;
    return place;
}

static bool is_named(const struct place *place, const char *name)
{
    return place->symbol.length == strlen(name) &&
           memcmp(place->symbol.name, name, place->symbol.length) == 0;
}

static bool begins(const struct place *place, const char *prefix)
{
    return place->symbol.length >= strlen(prefix) &&
           memcmp(place->symbol.name, prefix, strlen(prefix)) == 0;
}

// Where a call instruction at `code` leads. 0: it is none.
static uint64_t call_target(const unsigned char *code, uint64_t address)
{
#if defined(__x86_64__)
    int32_t distance;
    memcpy(&distance, code + 1, sizeof(distance));
    return code[0] == 0xe8 ? address + 5 + (uint64_t)(int64_t)distance : 0;
#elif defined(__aarch64__)
    uint32_t word;
    memcpy(&word, code, sizeof(word));
    int64_t distance = (int64_t)((uint64_t)word << 38) >> 36; // 26 bits, in words
    return address % 4 == 0 && word >> 26 == 0x25 ? address + (uint64_t)distance : 0;
#endif
}

// The function that all kinds of pop wait in is static, and nameless where GLib has no debug
// symbols. It is the nameless one that g_async_queue_pop calls.
static bool is_nameless_pop(const struct place *place)
{
    const struct elf_symbols *names = &place->module->names;
    unsigned char code[512];
    struct elf_symbol symbol;
    uint64_t low;
    uint64_t high;
    if (place->symbol.length || !elf_symbols_named(names, "g_async_queue_pop", &low, &high))
        return false;
    size_t size = high - low < sizeof(code) ? high - low : sizeof(code);
    if (safe_read(low + place->module->mapping.bias, code, size) != (ssize_t)size)
        return false;
    for (size_t i = 0; i + 5 <= size; i++) {
        uint64_t target = call_target(code + i, low + i);
        if (!target || target > place->address || place->address - target >= LOOKED_AT)
            continue;
        bool nameless = true;
        for (uint64_t at = target; at <= place->address && nameless; at++)
            nameless = !elf_symbols_find(names, at, &symbol);
        if (nameless)
            return true;
    }
    return false;
}

// Whether the stack waits in a pop of a GAsyncQueue, and on whose behalf.
static const struct layout *layout_of(const struct question *question)
{
    for (unsigned i = 0; i < FRAMES_BEFORE && i + 2 < question->depth; i++) {
        struct place wait = place_of(question->frames[i]);
        struct place pop = place_of(question->frames[i + 1]);
        struct place caller = place_of(question->frames[i + 2]);
        if (!wait.module || !pop.module)
            continue;
        if (!is_named(&wait, "g_cond_wait") && !is_named(&wait, "g_cond_wait_until"))
            return NULL;
        if (!begins(&pop, "g_async_queue_") && !is_nameless_pop(&pop))
            return NULL;
        bool is_pool = caller.module && !begins(&caller, "g_async_queue_") &&
                       (!caller.symbol.length || begins(&caller, "g_thread_pool_"));
        return is_pool ? &pool_layout : &queue_layout;
    }
    return NULL;
}

enum evidence_result glib_find(const struct question *question, struct evidence *ret)
{
    static struct held held; // there is one types thread
    const struct inquiry *inquiry = &question->inquiry;
    struct epoch_hold hold = {0};
    epoch_hold(&hold); // on paths and modules
    const struct layout *layout = layout_of(question);
    epoch_release(&hold);
    uintptr_t base = inquiry->object - offsetof(struct async_queue, cond);
    if (!layout)
        return EVIDENCE_NO;
    if (!held_read(inquiry, &held))
        return EVIDENCE_LATER;
    if (!held_word(&held, base) || !is_async_queue(base))
        return EVIDENCE_NO;
    *ret = (struct evidence){.layout = layout, .base = base, .side = INQUIRY_RECEIVE};
    return EVIDENCE_YES;
}
