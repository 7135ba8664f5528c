// Names from symbol tables: the same that nm prints, from the file, from its separate debug file,
// or from memory where the file is gone.

#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/elf_symbols_load.h"
#include "tests/symbol_targets/targets.h"

#include <dlfcn.h>
#include <errno.h>

// A symbol as nm prints it.
struct line {
    uint64_t low;
    uint64_t size;
    char name[2048];
};

static struct elf_symbols load(const char *path)
{
    struct elf_file file;
    struct elf_symbols symbols;
    assert_int_equal(elf_file_open(path, &file), 0);
    assert_int_equal(elf_symbols_load_file(&file, path, &symbols), 0);
    elf_file_close(&file);
    return symbols;
}

static bool is_at(const struct elf_symbols *symbols, uint64_t address, const char *name)
{
    struct elf_symbol symbol;
    if (!elf_symbols_find(symbols, address, &symbol))
        return name[0] == '\0';
    return strlen(name) == symbol.length && memcmp(name, symbol.name, symbol.length) == 0;
}

// Reads nm's functions (types T, t, W, w, i) with a size. Returns how many.
static size_t read_nm(const char *options, const char *path, struct line **ret_lines)
{
    char command[1024];
    snprintf(command, sizeof(command), "nm -S --defined-only %s %s 2>/dev/null", options, path);
    FILE *nm = popen(command, "r");
    assert_non_null(nm);
    size_t count = 0;
    size_t room = 0;
    struct line *lines = NULL;
    char text[4096];
    while (fgets(text, sizeof(text), nm)) {
        struct line line;
        char type;
        if (sscanf(text, "%lx %lx %c %2047[^@\n]", &line.low, &line.size, &type, line.name) != 4 ||
            !strchr("TtWwi", type))
            continue;
        if (count == room) {
            room = room ? 2 * room : 256;
            lines = realloc(lines, room * sizeof(*lines));
            assert_non_null(lines);
        }
        lines[count++] = line;
    }
    pclose(nm);
    *ret_lines = lines;
    return count;
}

// Every address inside of a function has the name of one of nm's symbols that starts where we say
// and covers the address.
static size_t compare_with_nm(const struct elf_symbols *symbols, const char *options,
                              const char *path)
{
    struct line *lines;
    size_t count = read_nm(options, path, &lines);
    size_t compared = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t address = lines[i].low + lines[i].size / 2;
        struct elf_symbol symbol;
        if (!elf_symbols_find(symbols, address, &symbol))
            fail_msg("%s: no name at %lx, nm has %s", path, address, lines[i].name);
        bool known = false;
        for (size_t j = 0; j < count && !known; j++)
            known = lines[j].low == symbol.entry && lines[j].low + lines[j].size > address &&
                    strlen(lines[j].name) == symbol.length &&
                    memcmp(lines[j].name, symbol.name, symbol.length) == 0;
        if (!known)
            fail_msg("%s: %.*s at %lx, entry %lx, not nm's (%s)", path, (int)symbol.length,
                     symbol.name, address, symbol.entry, lines[i].name);
        compared++;
    }
    free(lines);
    return compared;
}

static void names_are_those_of_nm(void **state)
{
    (void)state;
    targets_run("cc -O2 -g -DWITH_MAIN -o c_program $SRC/shapes.c");
    struct elf_symbols symbols = load("c_program");
    assert_true(compare_with_nm(&symbols, "", "c_program") >= 6);
    elf_symbols_release(&symbols);
    symbols = load("/proc/self/exe");
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = '\0';
    assert_true(compare_with_nm(&symbols, "", self) > 50);
    elf_symbols_release(&symbols);
}

static void a_stripped_library_has_its_exported_names(void **state)
{
    (void)state;
    targets_run("cc -O2 -fPIC -shared -Wl,--build-id=none -s -o bare.so $SRC/shapes.c");
    struct elf_symbols symbols = load("bare.so");
    assert_true(compare_with_nm(&symbols, "-D", "bare.so") >= 4);
    elf_symbols_release(&symbols);
}

static void a_debug_link_is_followed_where_its_checksum_is_right(void **state)
{
    (void)state;
    targets_run("cc -O2 -g -fPIC -shared -Wl,--build-id=none -o linked.so $SRC/shapes.c && "
                "cp linked.so whole.so && mkdir -p .debug && "
                "objcopy --only-keep-debug linked.so .debug/linked.debug && strip linked.so && "
                "objcopy --add-gnu-debuglink=.debug/linked.debug linked.so");
    const char *path = targets_path("linked.so");
    struct elf_symbols symbols = load(path);
    assert_true(compare_with_nm(&symbols, "", "whole.so") >= 6);
    elf_symbols_release(&symbols);
    targets_run("printf x >> .debug/linked.debug");
    symbols = load(path);
    struct line *lines;
    size_t count = read_nm("", "whole.so", &lines);
    size_t unnamed = 0;
    for (size_t i = 0; i < count; i++)
        unnamed += is_at(&symbols, lines[i].low, "");
    assert_true(unnamed > 0);
    free(lines);
    elf_symbols_release(&symbols);
}

static uint64_t value_of(const char *name)
{
    struct line line;
    char command[256];
    snprintf(command, sizeof(command), "nm labels.o | grep -w '%s' | head -1", name);
    FILE *nm = popen(command, "r");
    assert_non_null(nm);
    assert_int_equal(fscanf(nm, "%lx", &line.low), 1);
    pclose(nm);
    return line.low;
}

static void of_several_symbols_the_best_one_is_taken(void **state)
{
    (void)state;
    targets_run("cc -c -o labels.o $SRC/labels.S");
    struct elf_symbols symbols = load("labels.o");
    uint64_t bare = value_of("bare_global");
    // Without a size: up to the next symbol.
    assert_true(is_at(&symbols, bare, "bare_global"));
    assert_true(is_at(&symbols, bare + 1, "bare_global"));
    assert_true(is_at(&symbols, bare + 2, "bare_label"));
    // One with a size keeps all of its code, and no more.
    uint64_t sized = value_of("sized");
    for (uint64_t at = 0; at < 4; at++)
        assert_true(is_at(&symbols, sized + at, "sized"));
    assert_true(is_at(&symbols, sized + 4, ""));
    // Global before weak before local; no version.
    uint64_t shared = value_of("shared_local");
    assert_true(is_at(&symbols, shared, "shared_global"));
    uint64_t versioned = value_of("versioned_function");
    assert_true(is_at(&symbols, versioned, "versioned") ||
                is_at(&symbols, versioned, "versioned_function"));
    // The last one ends with its section.
    uint64_t last = value_of("last_bare");
    assert_true(is_at(&symbols, last + 1, "last_bare"));
    assert_true(is_at(&symbols, last + 2, ""));
    elf_symbols_release(&symbols);
}

static void a_version_is_no_part_of_a_name(void **state)
{
    (void)state;
    targets_run("cc -shared -nostdlib -Wl,--version-script=$SRC/labels.map -o labels.so "
                "$SRC/labels.S && nm labels.so | grep -q versioned@@LABELS_1");
    struct elf_symbols symbols = load("labels.so");
    struct line *lines;
    size_t count = read_nm("", "labels.so", &lines);
    size_t versioned = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(lines[i].name, "versioned") == 0)
            versioned += is_at(&symbols, lines[i].low, "versioned") ||
                         is_at(&symbols, lines[i].low, "versioned_function");
    assert_true(versioned > 0);
    assert_true(compare_with_nm(&symbols, "", "labels.so") > 0);
    free(lines);
    elf_symbols_release(&symbols);
}

static void a_deleted_library_is_read_from_memory(void **state)
{
    (void)state;
    targets_run("cc -O2 -fPIC -shared -o gone.so $SRC/shapes.c && cp gone.so kept.so");
    void *library = dlopen(targets_path("gone.so"), RTLD_NOW);
    assert_non_null(library);
    void *function = dlsym(library, "shapes_tree");
    struct mapping mapping = targets_mapping(function);
    assert_int_equal(unlink("gone.so"), 0);
    mapping.deleted = true;
    struct elf_symbols symbols;
    assert_int_equal(elf_symbols_load(&mapping, &symbols), 0);
    assert_true(symbols.bias == mapping.bias);
    assert_true(is_at(&symbols, (uintptr_t)function - symbols.bias, "shapes_tree"));
    assert_true(compare_with_nm(&symbols, "-D", "kept.so") >= 4);
    elf_symbols_release(&symbols);
    dlclose(library);
}

static void a_file_that_took_the_place_of_another_is_not_used(void **state)
{
    (void)state;
    targets_run("cc -O2 -fPIC -shared -o place.so $SRC/shapes.c");
    void *library = dlopen(targets_path("place.so"), RTLD_NOW);
    assert_non_null(library);
    void *function = dlsym(library, "shapes_tree");
    struct mapping mapping = targets_mapping(function);
    targets_run("cc -O0 -Dshapes_tree=impostor -fPIC -shared -o other.so $SRC/shapes.c && "
                "mv other.so place.so");
    struct elf_file file;
    assert_int_equal(elf_find_mapped(&mapping, &file), -ESTALE);
    struct elf_symbols symbols;
    assert_int_equal(elf_symbols_load(&mapping, &symbols), 0);
    assert_true(is_at(&symbols, (uintptr_t)function - symbols.bias, "shapes_tree"));
    elf_symbols_release(&symbols);
    dlclose(library);
}

static void the_same_file_under_another_inode_is_used_by_its_build_id(void **state)
{
    (void)state;
    targets_run("cc -O2 -fPIC -shared -Wl,--build-id -o id.so $SRC/shapes.c");
    struct mapping mapping = targets_unloaded(targets_path("id.so"));
    struct elf_file file;
    assert_int_equal(elf_find_mapped(&mapping, &file), 0);
    assert_true(file.build_id_length >= 8);
    mapping.build_id_length = file.build_id_length;
    memcpy(mapping.build_id, file.build_id, file.build_id_length);
    elf_file_close(&file);
    mapping.inode++;
    assert_int_equal(elf_find_mapped(&mapping, &file), 0);
    elf_file_close(&file);
    mapping.build_id[0] ^= 1;
    mapping.inode--;
    assert_int_equal(elf_find_mapped(&mapping, &file), -ESTALE);
}

static void the_vdso_has_names(void **state)
{
    (void)state;
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(vdso);
    void *function = dlsym(vdso, "__vdso_clock_gettime");
    assert_non_null(function);
    struct mapping mapping = targets_mapping(function);
    assert_string_equal(mapping.path, "[vdso]");
    struct elf_symbols symbols;
    assert_int_equal(elf_symbols_load(&mapping, &symbols), 0);
    uint64_t address = (uintptr_t)function - symbols.bias;
    assert_true(is_at(&symbols, address, "__vdso_clock_gettime") ||
                is_at(&symbols, address, "clock_gettime"));
    elf_symbols_release(&symbols);
    dlclose(vdso);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_nm),
        cmocka_unit_test(a_stripped_library_has_its_exported_names),
        cmocka_unit_test(a_debug_link_is_followed_where_its_checksum_is_right),
        cmocka_unit_test(of_several_symbols_the_best_one_is_taken),
        cmocka_unit_test(a_version_is_no_part_of_a_name),
        cmocka_unit_test(a_deleted_library_is_read_from_memory),
        cmocka_unit_test(a_file_that_took_the_place_of_another_is_not_used),
        cmocka_unit_test(the_same_file_under_another_inode_is_used_by_its_build_id),
        cmocka_unit_test(the_vdso_has_names),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
