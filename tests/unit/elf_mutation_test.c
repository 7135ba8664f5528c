// ELF files and images with wrong bytes in them: read without a crash, whatever they say. Seeded,
// so that a failure comes again.

#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/elf_image.h"
#include "profiler/symbols/elf_symbols_load.h"
#include "tests/symbol_targets/targets.h"

#include <sys/auxv.h>
#include <sys/mman.h>

enum { FILES = 20000, IMAGES = 20000, FILE_MAX = 256 << 10, ASKED = 64 };

static unsigned char original[FILE_MAX];
static unsigned char mutated[FILE_MAX];

// Numbers that parsers get wrong.
static uint64_t bad_number(void)
{
    static const uint64_t bad[] = {0,          1,          0x7fffffff,      0x80000000, 0xffffffff,
                                   0xfffffff0, UINT64_MAX, UINT64_MAX - 15, INT64_MAX,  1u << 20,
                                   FILE_MAX,   24,         0x100000000ul,   64,         0xffff};
    return bad[(size_t)lrand48() % (sizeof(bad) / sizeof(*bad))];
}

// Mutates headers more often than what they describe.
static void mutate(size_t size)
{
    memcpy(mutated, original, size);
    Elf64_Ehdr header;
    memcpy(&header, original, sizeof(header));
    long count = 1 + lrand48() % 6;
    for (long i = 0; i < count; i++) {
        size_t low = 0;
        size_t high = size;
        long where = lrand48() % 4;
        if (where == 0)
            high = sizeof(header);
        else if (where == 1 && header.e_shoff < size)
            low = header.e_shoff;
        else if (where == 2)
            high = 2048;
        size_t at = low + (size_t)lrand48() % (high - low);
        uint64_t number = lrand48() & 1 ? bad_number() : (uint64_t)mrand48();
        size_t width = (size_t)1 << lrand48() % 4;
        if (lrand48() & 1)
            at &= ~(width - 1);
        memcpy(mutated + at, &number, at + width <= size ? width : size - at);
    }
}

static uint64_t use(const struct elf_symbols *symbols)
{
    uint64_t sum = 0;
    const struct range *ranges = ranges_of(&symbols->ranges);
    size_t count = ranges_count(&symbols->ranges);
    for (size_t i = 0; i < ASKED; i++) {
        struct elf_symbol symbol;
        uint64_t address =
            i % 2 && count ? ranges[(size_t)lrand48() % count].low : (uint64_t)lrand48() % FILE_MAX;
        if (!elf_symbols_find(symbols, address, &symbol))
            continue;
        assert_true(symbol.length > 0 && symbol.length <= symbols->strings.size);
        for (size_t j = 0; j < symbol.length; j++)
            sum += (unsigned char)symbol.name[j];
    }
    return sum;
}

static size_t read_original(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(original, 1, sizeof(original), file);
    fclose(file);
    assert_true(size > sizeof(Elf64_Ehdr) && size < sizeof(original));
    return size;
}

static void mutated_files_are_survived(void **state)
{
    (void)state;
    targets_run("cc -O2 -g0 -shared -fPIC -Wl,--build-id -o plain.so "
                "-Wl,--version-script=$SRC/labels.map $SRC/shapes.c $SRC/labels.S && "
                "cp plain.so linked.so && objcopy --only-keep-debug plain.so plain.debug && "
                "strip linked.so && objcopy --add-gnu-debuglink=plain.debug linked.so");
    static const char *const names[] = {"plain.so", "linked.so"};
    srand48(42);
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
        size_t size = read_original(names[n]);
        size_t loaded = 0;
        char path[64];
        int fd = memfd_create("mutated", 0);
        assert_true(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        for (int i = 0; i < FILES; i++) {
            mutate(size);
            size_t length = lrand48() % 8 ? size : (size_t)lrand48() % size;
            assert_int_equal(ftruncate(fd, 0), 0);
            assert_int_equal(pwrite(fd, mutated, length, 0), length);
            struct elf_file file;
            if (elf_file_open(path, &file))
                continue;
            struct elf_symbols symbols;
            if (elf_symbols_load_file(&file, targets_path("x"), &symbols) == 0) {
                loaded++;
                use(&symbols);
                elf_symbols_release(&symbols);
            }
            elf_file_close(&file);
        }
        close(fd);
        // Else the mutations never came behind the first check.
        assert_true(loaded > FILES / 10);
    }
}

static void mutated_images_are_survived(void **state)
{
    (void)state;
    const unsigned char *vdso = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    if (!vdso)
        skip();
    enum { PAGES = 8192 };
    memcpy(original, vdso, PAGES / 2);
    Elf64_Ehdr header;
    memcpy(&header, vdso, sizeof(header));
    size_t size = header.e_shoff + (size_t)header.e_shnum * header.e_shentsize;
    assert_true(size < sizeof(mutated));
    memcpy(original, vdso, size);
    struct mapping mapping = {.start = (uintptr_t)mutated,
                              .limit = (uintptr_t)mutated + sizeof(mutated),
                              .bias = (uintptr_t)mutated,
                              .path = "[vdso]"};
    size_t loaded = 0;
    srand48(43);
    for (int i = 0; i < IMAGES; i++) {
        mutate(size);
        struct elf_symbols symbols;
        if (elf_image_symbols(&mapping, &symbols))
            continue;
        loaded++;
        use(&symbols);
        elf_symbols_release(&symbols);
    }
    assert_true(loaded > IMAGES / 10);
}

static void build_id_notes_are_read_within_their_bounds(void **state)
{
    (void)state;
    unsigned char id[BUILD_ID_MAX];
    unsigned length = 0;
    unsigned char notes[] = {4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 1, 2, 3, 4};
    assert_true(elf_note_build_id(notes, sizeof(notes), 4, id, &length));
    assert_int_equal(length, 4);
    assert_memory_equal(id, "\1\2\3\4", 4);
    for (size_t size = 0; size < sizeof(notes); size++) {
        unsigned char *exact = malloc(size ? size : 1);
        memcpy(exact, notes, size);
        assert_false(elf_note_build_id(exact, size, 4, id, &length));
        free(exact);
    }
    notes[4] = BUILD_ID_MAX + 1;
    assert_false(elf_note_build_id(notes, sizeof(notes), 4, id, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_are_survived),
        cmocka_unit_test(mutated_images_are_survived),
        cmocka_unit_test(build_id_notes_are_read_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
