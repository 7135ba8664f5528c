// Names stay right however often the cache of symbols turns: with little room for symbols or for
// their strings, while somebody holds on to what he got, and with many threads and DWARF.

#include "profiler/base/epoch.h"
#include "profiler/symbols/symbol_cache.h"
#include "profiler/symbols/symbol_text.h"
#include "profiler/symbols/symbols.h"
#include "tests/test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum {
    STEP = 16,         // bytes
    ADDRESSES = 40000, // looked up, at most
    BATCH = 64,        // under one hold; several of them fit into a generation
    SMALL = 200 << 10, // some hundred symbols
    SMALL_TEXT = 16 << 10,
    KNOWN = 4,
};

static uintptr_t addresses[ADDRESSES];
static size_t address_count;

// What each of them is when there is room for all.
static struct {
    uintptr_t entry;
    char name[64]; // cut
} expected[ADDRESSES];

// Released at each test's end, however it ends.
static struct epoch_hold hold;

static _Atomic unsigned sink;

#define KNOWN_FUNCTION(name)                         \
    static __attribute__((noinline)) void name(void) \
    {                                                \
        sink += __LINE__;                            \
        sink += __LINE__ + 1;                        \
    }

KNOWN_FUNCTION(known_first)
KNOWN_FUNCTION(known_second)
KNOWN_FUNCTION(known_third)
KNOWN_FUNCTION(known_fourth)

static const struct {
    void (*function)(void);
    const char *name;
} known[KNOWN] = {{known_first, "known_first"},
                  {known_second, "known_second"},
                  {known_third, "known_third"},
                  {known_fourth, "known_fourth"}};

static uintptr_t known_address(unsigned which)
{
    return (uintptr_t)known[which].function + 2;
}

static uint64_t left_out(void)
{
    return atomic_load(&symbol_cache_budget.left_out);
}

static uint64_t texts_left_out(void)
{
    return atomic_load(&symbol_text_table.budget.left_out);
}

static void add_text_of(uintptr_t code, size_t max)
{
    struct mapping mapping;
    assert_true(maps_find(code, &mapping));
    for (uintptr_t at = mapping.start + 1; at < mapping.limit && max; at += STEP, max--)
        if (address_count < ADDRESSES)
            addresses[address_count++] = at;
}

static bool is_expected(size_t i, const struct symbol *symbol)
{
    return symbol->address == addresses[i] && symbol->entry == expected[i].entry &&
           symbol->count == 1 &&
           strncmp(symbol->frames[0].function, expected[i].name, sizeof(expected[i].name) - 1) == 0;
}

// Under a hold of its own. How many are not as they should be.
static unsigned resolve_batch(size_t from, size_t count)
{
    const struct symbol *symbols[BATCH + KNOWN];
    uintptr_t asked[BATCH + KNOWN];
    unsigned wrong = 0;
    memcpy(asked, addresses + from, count * sizeof(*asked));
    for (unsigned i = 0; i < KNOWN; i++)
        asked[count + i] = known_address(i);
    epoch_hold(&hold);
    assert_int_equal(symbols_resolve(asked, count + KNOWN, symbols), 0);
    for (size_t i = 0; i < count; i++)
        wrong += !is_expected(from + i, symbols[i]);
    for (unsigned i = 0; i < KNOWN; i++) {
        const struct symbol *symbol = symbols[count + i];
        wrong += strcmp(symbol->frames[0].function, known[i].name) != 0 ||
                 symbol->entry != (uintptr_t)known[i].function;
    }
    epoch_release(&hold);
    return wrong;
}

static unsigned resolve_all(void)
{
    unsigned wrong = 0;
    for (size_t at = 0; at < address_count; at += BATCH)
        wrong += resolve_batch(at, address_count - at < BATCH ? address_count - at : BATCH);
    return wrong;
}

static int learn_expected(void **state)
{
    (void)state;
    const struct symbol *symbol;
    add_text_of((uintptr_t)known_first, ADDRESSES / 4);
    add_text_of((uintptr_t)dlsym(RTLD_DEFAULT, "getpid"), ADDRESSES);
    epoch_hold(&hold);
    for (size_t i = 0; i < address_count; i++) {
        if (symbols_resolve(&addresses[i], 1, &symbol) != 0)
            return -1;
        expected[i].entry = symbol->entry;
        snprintf(expected[i].name, sizeof(expected[i].name), "%s", symbol->frames[0].function);
    }
    epoch_release(&hold);
    return left_out() || texts_left_out() || address_count < ADDRESSES / 2;
}

static size_t limit_before, text_limit_before;

static int keep_limits(void **state)
{
    (void)state;
    limit_before = symbol_cache_budget.limit;
    text_limit_before = symbol_text_table.budget.limit;
    return 0;
}

static int restore_limits(void **state)
{
    (void)state;
    epoch_release(&hold);
    symbols_stop();
    symbol_cache_budget.limit = limit_before;
    symbol_text_table.budget.limit = text_limit_before;
    return 0;
}

// Bytes of address space.
static size_t mapped(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void names_are_those_that_the_loader_knows(void **state)
{
    (void)state;
    symbol_cache_budget.limit = SMALL;
    unsigned same = 0;
    unsigned others = 0;
    for (size_t i = 0; i < address_count; i += 7) {
        Dl_info info;
        void *place = (void *)(addresses[i] - 1);
        if (!dladdr(place, &info) || !info.dli_sname)
            continue;
        const struct symbol *symbol;
        epoch_hold(&hold);
        assert_int_equal(symbols_resolve(&addresses[i], 1, &symbol), 0);
        // Symbols that are not exported may be nearer.
        assert_true(symbol->entry >= (uintptr_t)info.dli_saddr);
        if (symbol->entry == (uintptr_t)info.dli_saddr) {
            // It may have several names, and what is chosen by processor can't be asked for.
            const char *name = symbol->frames[0].function;
            bool is_same =
                strcmp(name, info.dli_sname) == 0 || dlsym(RTLD_DEFAULT, name) == info.dli_saddr;
            same += is_same;
            others += !is_same;
        }
        epoch_release(&hold);
    }
    assert_true(same > 500);
    assert_true(others < same / 10);
}

static void names_stay_right_through_many_turns_and_nothing_is_left_out(void **state)
{
    (void)state;
    uint64_t before = left_out();
    uint32_t generation = symbol_cache_generation();
    symbol_cache_budget.limit = SMALL;
    assert_int_equal(resolve_all(), 0);
    size_t bytes = mapped();
    uint32_t turns = symbol_cache_generation() - generation;
    assert_true(turns > 20);
    for (int round = 0; round < 2; round++)
        assert_int_equal(resolve_all(), 0);
    assert_true(symbol_cache_generation() - generation >= 3 * turns - 3);
    assert_int_equal(left_out(), before);
    // A sanitizer's own memory grows as it likes.
    if (!SANITIZED)
        assert_true(mapped() < bytes + (4 << 20));
}

static void strings_without_room_make_the_cache_turn_as_well(void **state)
{
    (void)state;
    uint64_t before = texts_left_out();
    uint32_t generation = symbol_cache_generation();
    symbol_text_table.budget.limit = SMALL_TEXT;
    assert_int_equal(resolve_all(), 0);
    size_t bytes = mapped();
    uint32_t turns = symbol_cache_generation() - generation;
    assert_true(turns > 2);
    for (int round = 0; round < 3; round++)
        assert_int_equal(resolve_all(), 0);
    assert_true(symbol_cache_generation() - generation >= 3 * turns);
    assert_int_equal(texts_left_out(), before);
    assert_true(intern_bytes(&symbol_text_table) <= SMALL_TEXT);
    if (!SANITIZED)
        assert_true(mapped() < bytes + (4 << 20));
}

static void turns_of_both_at_once_leave_nothing_out(void **state)
{
    (void)state;
    uint64_t before = left_out();
    uint64_t texts_before = texts_left_out();
    uint32_t generation = symbol_cache_generation();
    symbol_cache_budget.limit = SMALL;
    symbol_text_table.budget.limit = SMALL_TEXT;
    for (int round = 0; round < 2; round++)
        assert_int_equal(resolve_all(), 0);
    assert_true(symbol_cache_generation() - generation > 20);
    assert_int_equal(left_out(), before);
    assert_int_equal(texts_left_out(), texts_before);
}

// What was got under a hold: copies of all of it.
struct got {
    const struct symbol *symbol;
    struct symbol copy;
    struct symbol_frame frame;
    char *function;
    char *file;
};

static void get(const uintptr_t *asked, size_t count, struct got *into)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(symbols_resolve(&asked[i], 1, &into[i].symbol), 0);
        into[i].copy = *into[i].symbol;
        into[i].frame = into[i].symbol->frames[0];
        into[i].function = strdup(into[i].frame.function);
        into[i].file = strdup(into[i].frame.file);
    }
}

static void assert_intact(const struct got *got, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(got[i].symbol, &got[i].copy, sizeof(got[i].copy));
        assert_memory_equal(got[i].symbol->frames, &got[i].frame, sizeof(got[i].frame));
        assert_string_equal(got[i].symbol->frames[0].function, got[i].function);
        assert_string_equal(got[i].symbol->frames[0].file, got[i].file);
    }
}

static void forget(struct got *got, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(got[i].function);
        free(got[i].file);
    }
}

static void what_was_got_under_a_hold_stays_and_what_has_no_room_is_unknown(void **state)
{
    (void)state;
    enum { GOT = 100, MORE = 5000 };
    static struct got got[GOT];
    symbol_cache_budget.limit = SMALL;
    resolve_all(); // its own generations are small
    epoch_hold(&hold);
    uint32_t generation = symbol_cache_generation();
    uint64_t before = left_out();
    get(addresses, GOT, got);
    size_t unknown = 0;
    for (size_t i = 0; i < MORE; i++) {
        const struct symbol *symbol = NULL;
        assert_int_equal(symbols_resolve(&addresses[GOT + i], 1, &symbol), 0);
        assert_non_null(symbol);
        if (symbol != &symbol_cache_unknown) {
            assert_true(is_expected(GOT + i, symbol));
            continue;
        }
        unknown++;
        assert_int_equal(symbol->count, 1);
        assert_int_equal(symbol->address, 0);
        assert_string_equal(symbol->frames[0].function, "");
        assert_string_equal(symbol->frames[0].file, "");
    }
    // It turned once or, where the last turn was not over yet as the hold began, not even that.
    assert_true(symbol_cache_generation() - generation <= 1);
    assert_true(unknown > MORE / 2);
    assert_int_equal(left_out() - before, unknown);
    assert_intact(got, GOT);
    epoch_release(&hold);
    forget(got, GOT);

    uint64_t after = left_out();
    assert_int_equal(resolve_all(), 0);
    assert_int_equal(left_out(), after);
    assert_true(symbol_cache_generation() - generation > 10);
}

static void a_hold_of_before_a_turn_sees_one_turn_and_no_second(void **state)
{
    (void)state;
    enum { GOT = 10 };
    static struct got got[GOT];
    // Lets what waits of earlier turns go, and begins afresh with room.
    resolve_batch(0, BATCH);
    resolve_batch(0, BATCH);
    symbol_cache_budget.limit = 1;
    resolve_batch(BATCH, BATCH);
    resolve_batch(0, BATCH);
    symbol_cache_budget.limit = limit_before;
    epoch_hold(&hold);
    get(addresses, GOT, got);
    uint32_t generation = symbol_cache_generation();
    symbol_cache_budget.limit = SMALL;
    size_t at = GOT;
    for (; symbol_cache_generation() == generation && at < 2000; at++) {
        const struct symbol *symbol;
        assert_int_equal(symbols_resolve(&addresses[at], 1, &symbol), 0);
        assert_true(is_expected(at, symbol));
    }
    assert_int_equal(symbol_cache_generation(), generation + 1);
    assert_intact(got, GOT);
    // The same address is another symbol of the new generation, and says the same.
    const struct symbol *again;
    assert_int_equal(symbols_resolve(&addresses[0], 1, &again), 0);
    assert_true(again != got[0].symbol);
    assert_true(is_expected(0, again));
    uint64_t before = left_out();
    for (size_t end = at + 2000; at < end; at++)
        assert_int_equal(symbols_resolve(&addresses[at], 1, &again), 0);
    assert_int_equal(symbol_cache_generation(), generation + 1);
    assert_true(left_out() > before);
    assert_intact(got, GOT);
    epoch_release(&hold);
    assert_int_equal(resolve_batch(at, BATCH), 0);
    assert_true(symbol_cache_generation() >= generation + 2);
    forget(got, GOT);
}

static void strings_without_room_under_a_hold_are_empty_and_come_back(void **state)
{
    (void)state;
    enum { GOT = 20 };
    static struct got got[GOT];
    symbol_text_table.budget.limit = SMALL_TEXT;
    resolve_all();
    epoch_hold(&hold);
    uint64_t before = texts_left_out();
    uint32_t generation = symbol_cache_generation();
    size_t middle = address_count / 2;
    get(addresses + middle, GOT, got);
    size_t without = 0;
    for (size_t i = 0; i < address_count; i++) {
        const struct symbol *symbol;
        assert_int_equal(symbols_resolve(&addresses[i], 1, &symbol), 0);
        assert_int_equal(symbol->address, addresses[i]);
        assert_int_equal(symbol->entry, expected[i].entry);
        without += expected[i].name[0] && !symbol->frames[0].function[0];
        if (symbol->frames[0].function[0])
            assert_true(is_expected(i, symbol));
    }
    assert_true(without > 0);
    assert_int_equal(texts_left_out() - before, without);
    assert_true(symbol_cache_generation() - generation <= 1);
    assert_intact(got, GOT);
    epoch_release(&hold);
    forget(got, GOT);
    uint64_t after = texts_left_out();
    // What is new makes it turn, and then all have their names again.
    uintptr_t fresh = addresses[0] + 1;
    const struct symbol *symbol;
    epoch_hold(&hold);
    assert_int_equal(symbols_resolve(&fresh, 1, &symbol), 0);
    epoch_release(&hold);
    assert_int_equal(resolve_all(), 0);
    assert_int_equal(texts_left_out(), after);
}

enum { THREADS = 4, PASSES = 40, ASKED = 48 };
static _Atomic unsigned wrong_names;
static _Atomic uint64_t unknown_names;

// DWARF knows a function by its name in the source, without what the compiler put behind or in
// front.
static bool is_same_function(const struct symbol *symbol, const char *name)
{
    const char *real = symbol->frames[symbol->count - 1].function;
    return strstr(real, name) || (real[0] && strstr(name, real));
}

static void *resolve_at_once(void *argument)
{
    unsigned mine = (unsigned)(uintptr_t)argument;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        uintptr_t asked[ASKED + KNOWN];
        const struct symbol *symbols[ASKED + KNOWN];
        size_t from = (pass * THREADS + mine) * ASKED % (address_count - ASKED);
        memcpy(asked, addresses + from, ASKED * sizeof(*asked));
        for (unsigned i = 0; i < KNOWN; i++)
            asked[ASKED + i] = known_address(i);
        struct epoch_hold own = {0};
        epoch_hold(&own);
        symbols_resolve(asked, ASKED + KNOWN, symbols);
        for (unsigned i = 0; i < ASKED + KNOWN; i++) {
            const struct symbol *symbol = symbols[i];
            const char *name = i < ASKED ? expected[from + i].name : known[i - ASKED].name;
            if (symbol == &symbol_cache_unknown)
                atomic_fetch_add(&unknown_names, 1);
            else if (symbol->address != asked[i] || !is_same_function(symbol, name))
                atomic_fetch_add(&wrong_names, 1);
            else if (i >= ASKED &&
                     (strcmp(symbol->frames[0].function, name) != 0 ||
                      (symbol->has_lines && strcmp(symbol->frames[0].file, __FILE__) != 0)))
                atomic_fetch_add(&wrong_names, 1);
        }
        epoch_release(&own);
    }
    return NULL;
}

static void threads_that_resolve_at_once_with_dwarf_get_right_names(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    symbol_cache_budget.limit = SMALL;
    uint64_t before = left_out();
    uint32_t generation = symbol_cache_generation();
    assert_int_equal(symbols_start(), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_at_once, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong_names), 0);
    assert_true(atomic_load(&unknown_names) <= 2 * (left_out() - before));
    assert_true(symbol_cache_generation() - generation > 3);
    // Lines are there as well, when nobody else is about.
    uintptr_t address = known_address(0);
    const struct symbol *symbol;
    bool has_lines = false;
    for (int i = 0; i < 100 && !has_lines; i++) {
        epoch_hold(&hold);
        symbols_resolve(&address, 1, &symbol);
        has_lines = symbol->has_lines && strcmp(symbol->frames[0].file, __FILE__) == 0;
        epoch_release(&hold);
    }
    assert_true(has_lines);
    symbols_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_those_that_the_loader_knows, keep_limits,
                                        restore_limits),
        cmocka_unit_test_setup_teardown(names_stay_right_through_many_turns_and_nothing_is_left_out,
                                        keep_limits, restore_limits),
        cmocka_unit_test_setup_teardown(strings_without_room_make_the_cache_turn_as_well,
                                        keep_limits, restore_limits),
        cmocka_unit_test_setup_teardown(turns_of_both_at_once_leave_nothing_out, keep_limits,
                                        restore_limits),
        cmocka_unit_test_setup_teardown(
            what_was_got_under_a_hold_stays_and_what_has_no_room_is_unknown, keep_limits,
            restore_limits),
        cmocka_unit_test_setup_teardown(a_hold_of_before_a_turn_sees_one_turn_and_no_second,
                                        keep_limits, restore_limits),
        cmocka_unit_test_setup_teardown(strings_without_room_under_a_hold_are_empty_and_come_back,
                                        keep_limits, restore_limits),
        cmocka_unit_test_setup_teardown(threads_that_resolve_at_once_with_dwarf_get_right_names,
                                        keep_limits, restore_limits),
    };
    return cmocka_run_group_tests(tests, learn_expected, NULL);
}
