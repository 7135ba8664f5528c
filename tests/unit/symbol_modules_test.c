// Libraries that are loaded and unloaded for ever: the names of those of now are found with room
// for a few, and where there is none the loss is counted.

#include "profiler/base/epoch.h"
#include "profiler/symbols/symbol_cache.h"
#include "profiler/symbols/symbol_modules.h"
#include "profiler/symbols/symbols.h"
#include "profiler/unwind/picture.h"
#include "tests/symbol_targets/targets.h"

#include <dlfcn.h>
#include <stdatomic.h>

enum { LIBRARIES = 5, COPIES = 130, ROUNDS = 50, FUNCTIONS = 200 };

// Released at each test's end, however it ends.
static struct epoch_hold hold;
static size_t limit_before;
static unsigned next_copy;

static int build(void **state)
{
    if (targets_setup(state) != 0)
        return -1;
    // Files of their own: what is the same file at the same place would be the same module.
    bool built = targets_try(
        "i=0; while [ $i -lt %d ]; do { "
        "echo \"int first_of_$i(int v) { return v * 3; }\"; j=0; while [ $j -lt %d ]; do "
        "echo \"int other_${j}_of_$i(int v) { return v * 5 + $j; }\"; j=$((j+1)); done; } > $i.c "
        "&& "
        "cc -O1 -g -shared -fPIC -o $i.so $i.c || exit 1; i=$((i+1)); done && "
        "i=0; while [ $i -lt %d ]; do cp $((i %% %d)).so copy$i.so || exit 1; i=$((i+1)); done",
        LIBRARIES, FUNCTIONS, COPIES, LIBRARIES);
    limit_before = symbol_modules_budget.limit;
    return built ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    epoch_release(&hold);
    symbols_stop();
    symbol_modules_budget.limit = limit_before;
    return 0;
}

static uint64_t left_out(void)
{
    return atomic_load(&symbol_modules_budget.left_out);
}

struct library {
    void *handle;
    uintptr_t first;
    char name[32]; // of what is at `first`
    uintptr_t other;
    char other_name[32];
};

// The next copy, which was not loaded before.
static struct library load_next(void)
{
    char file[32];
    struct library library;
    unsigned copy = next_copy++;
    assert_true(copy < COPIES);
    snprintf(file, sizeof(file), "copy%u.so", copy);
    snprintf(library.name, sizeof(library.name), "first_of_%u", copy % LIBRARIES);
    snprintf(library.other_name, sizeof(library.other_name), "other_7_of_%u", copy % LIBRARIES);
    library.handle = dlopen(targets_path(file), RTLD_NOW);
    assert_non_null(library.handle);
    library.first = (uintptr_t)dlsym(library.handle, library.name);
    library.other = (uintptr_t)dlsym(library.handle, library.other_name);
    assert_true(library.first && library.other);
    assert_int_equal(maps_refresh(), 0);
    return library;
}

static void unload(const struct library *library)
{
    struct mapping mapping;
    assert_int_equal(dlclose(library->handle), 0);
    assert_int_equal(maps_refresh(), 0);
    assert_false(maps_find(library->first, &mapping) && strstr(mapping.path, "copy"));
}

// Under a hold of its own.
static bool is_named(uintptr_t function, const char *name)
{
    uintptr_t address = function + 1;
    const struct symbol *symbol = NULL;
    epoch_hold(&hold);
    assert_int_equal(symbols_resolve(&address, 1, &symbol), 0);
    assert_non_null(symbol);
    bool named = strcmp(symbol->frames[0].function, name) == 0 && symbol->entry == function;
    if (!named) {
        assert_string_equal(symbol->frames[0].function, "");
        assert_int_equal(symbol->entry, 0);
    }
    epoch_release(&hold);
    return named;
}

static bool has_lines(uintptr_t function, const char *name)
{
    uintptr_t address = function + 1;
    const struct symbol *symbol = NULL;
    epoch_hold(&hold);
    assert_int_equal(symbols_resolve(&address, 1, &symbol), 0);
    bool has = symbol->has_lines && strcmp(symbol->frames[0].function, name) == 0;
    epoch_release(&hold);
    return has;
}

// What one of the libraries takes.
static size_t bytes_of_one(void)
{
    struct library library = load_next();
    struct mapping mapping;
    epoch_hold(&hold);
    assert_true(maps_find(library.first, &mapping));
    struct symbol_module *module = symbol_modules_get(&mapping);
    assert_non_null(module);
    size_t bytes = module->bytes;
    assert_ptr_equal(symbol_modules_get(&mapping), module);
    epoch_release(&hold);
    unload(&library);
    return bytes;
}

// Has what nobody looks at any more given back.
static void look_elsewhere(void)
{
    struct mapping mapping;
    epoch_hold(&hold);
    assert_true(maps_find((uintptr_t)dlsym(RTLD_DEFAULT, "getpid"), &mapping));
    mapping.inode = 0;       // of no file: nothing is loaded for it …
    mapping.path = "[vdso]"; // … but that, which is small
    symbol_modules_get(&mapping);
    epoch_release(&hold);
}

static void with_room_for_two_the_names_of_each_library_are_found(void **state)
{
    (void)state;
    uint64_t before = left_out();
    symbol_modules_budget.limit = bytes_of_one() / 2 * 3; // asked before one is loaded
    for (int i = 0; i < ROUNDS; i++) {
        struct library library = load_next();
        assert_true(is_named(library.first, library.name));
        assert_true(is_named(library.other, library.other_name));
        unload(&library);
    }
    assert_int_equal(left_out(), before);
}

static void with_dwarf_open_the_lines_of_each_library_are_found(void **state)
{
    (void)state;
    uint64_t before = left_out();
    // Those of before are given back after the thread has closed them: some rounds later.
    symbol_modules_budget.limit = 8 * bytes_of_one();
    assert_int_equal(symbols_start(), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct library library = load_next();
        assert_true(has_lines(library.first, library.name));
        assert_true(has_lines(library.other, library.other_name));
        unload(&library);
    }
    assert_int_equal(left_out(), before);
}

static void what_has_no_room_is_counted_and_unknown_until_there_is_some(void **state)
{
    (void)state;
    struct library first = load_next();
    struct library second = load_next();
    symbol_modules_budget.limit = 0;
    look_elsewhere();
    look_elsewhere(); // there is nothing else now
    uint64_t before = left_out();
    assert_false(is_named(first.first, first.name));
    assert_false(is_named(second.first, second.name));
    assert_int_equal(left_out(), before + 2);
    // The first that comes has room.
    symbol_modules_budget.limit = 1;
    assert_true(is_named(first.other, first.other_name));
    assert_int_equal(left_out(), before + 2);
    assert_false(is_named(second.first + 1, second.name));
    assert_int_equal(left_out(), before + 3);
    symbol_modules_budget.limit = limit_before;
    assert_true(is_named(second.other, second.other_name));
    unload(&first);
    unload(&second);
}

static void with_dwarf_what_has_no_room_is_counted_and_unknown_as_well(void **state)
{
    (void)state;
    uint64_t before = left_out();
    symbol_modules_budget.limit = 0;
    assert_int_equal(symbols_start(), 0);
    for (int i = 0; i < 5; i++) {
        struct library library = load_next();
        assert_false(is_named(library.first, library.name));
        assert_false(is_named(library.other, library.other_name));
        unload(&library);
    }
    assert_int_equal(left_out(), before + 10);
}

static void a_module_that_is_held_outlives_its_library(void **state)
{
    (void)state;
    static struct epoch_hold lasting;
    struct library library = load_next();
    struct mapping mapping;
    struct elf_symbol symbol;
    epoch_hold(&lasting);
    assert_true(maps_find(library.first, &mapping));
    struct symbol_module *module = symbol_modules_get(&mapping);
    assert_non_null(module);
    unload(&library);
    for (int i = 0; i < 5; i++)
        look_elsewhere();
    assert_non_null(strstr(module->mapping.path, "copy"));
    assert_true(elf_symbols_find(&module->names, library.first - module->names.bias, &symbol));
    assert_int_equal(symbol.length, strlen(library.name));
    assert_memory_equal(symbol.name, library.name, symbol.length);
    epoch_release(&lasting);
}

// Memory that was just given back is what the next one of its size gets.
static void spoil_what_is_free(void)
{
    enum { PIECES = 64, BYTES = 4096 };
    uint32_t *pieces[PIECES];
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = memory_map(BYTES);
        assert_non_null(pieces[i]);
        // As a module, it would have its DWARF open at an address that is none.
        for (size_t at = 0; at < BYTES / sizeof(*pieces[i]); at++)
            pieces[i][at] = MODULE_DWARF_OPEN;
    }
    for (int i = 0; i < PIECES; i++)
        memory_unmap(pieces[i], BYTES);
}

static void what_was_asked_of_a_library_that_is_gone_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(symbols_start(), 0);
    for (int i = 0; i < 10; i++) {
        uintptr_t asked[FUNCTIONS];
        struct library library = load_next();
        for (int j = 0; j < FUNCTIONS; j++)
            asked[j] = library.first + 1 + (uintptr_t)j * 4;
        epoch_hold(&hold);
        symbols_ask(asked, FUNCTIONS); // and nobody waits
        epoch_release(&hold);
        // Its turn has come, in the midst of its work.
        unload(&library);
        for (int j = 0; j < 20; j++) {
            look_elsewhere();
            spoil_what_is_free();
        }
    }
    struct library library = load_next();
    eventually(has_lines(library.other, library.other_name));
    unload(&library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(with_room_for_two_the_names_of_each_library_are_found, end),
        cmocka_unit_test_teardown(with_dwarf_open_the_lines_of_each_library_are_found, end),
        cmocka_unit_test_teardown(what_has_no_room_is_counted_and_unknown_until_there_is_some, end),
        cmocka_unit_test_teardown(with_dwarf_what_has_no_room_is_counted_and_unknown_as_well, end),
        cmocka_unit_test_teardown(a_module_that_is_held_outlives_its_library, end),
        cmocka_unit_test_teardown(what_was_asked_of_a_library_that_is_gone_does_no_harm, end),
    };
    return cmocka_run_group_tests(tests, build, targets_teardown);
}
