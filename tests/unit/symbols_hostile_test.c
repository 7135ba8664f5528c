// Debug sections that lie or are damaged: .debug_aranges that names other units than hold an
// address, or none; packed sections that can't be unpacked, or claim to be huge.

#include "profiler/symbols/dwarf_lines.h"
#include "profiler/symbols/elf_file.h"
#include "tests/symbol_targets/oracle.h"

#include <fcntl.h>

enum { ADDRESSES = 400, SETS_MAX = 16, MUTATIONS = 300 };

static uint64_t addresses[ADDRESSES];
static size_t address_count;

static struct dwarf_lines *open_lines(const char *path)
{
    struct elf_file file;
    struct dwarf_lines *lines = NULL;
    assert_int_equal(elf_file_open(path, &file), 0);
    dwarf_lines_open_file(&file, path, &lines);
    elf_file_close(&file);
    return lines;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

// For how many addresses both files say the same; *ret_known: how many the first one knows.
static size_t agreement(const char *truthful, const char *other, size_t *ret_known)
{
    struct dwarf_lines *one = open_lines(truthful);
    struct dwarf_lines *two = open_lines(other);
    size_t known = 0;
    size_t same = 0;
    assert_non_null(one);
    for (size_t i = 0; i < address_count; i++) {
        struct dwarf_answer a = {0};
        struct dwarf_answer b = {0};
        if (!dwarf_lines_find(one, addresses[i], &a))
            continue;
        known++;
        bool equal = two && dwarf_lines_find(two, addresses[i], &b) && a.count == b.count;
        for (unsigned j = 0; equal && j < a.count; j++)
            equal = same_text(a.frames[j].function, b.frames[j].function) &&
                    same_text(a.frames[j].file, b.frames[j].file) &&
                    a.frames[j].line == b.frames[j].line;
        same += equal;
    }
    dwarf_lines_close(one);
    dwarf_lines_close(two);
    *ret_known = known;
    return same;
}

static void assert_same_answers(const char *other)
{
    size_t known;
    size_t same = agreement("truthful", other, &known);
    assert_true(known > address_count * 9 / 10);
    assert_int_equal(same, known);
}

static Elf64_Shdr section_of(const char *path, const char *name)
{
    struct elf_file file;
    assert_int_equal(elf_file_open(path, &file), 0);
    const Elf64_Shdr *section = elf_file_section(&file, name);
    assert_non_null(section);
    Elf64_Shdr copy = *section;
    elf_file_close(&file);
    return copy;
}

static void overwrite(const char *path, const void *bytes, size_t length, uint64_t offset)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, (off_t)offset), length);
    close(fd);
}

// A set of .debug_aranges: length, version, the unit's offset in .debug_info, and so on.
struct set {
    uint64_t at; // in the file, of its length
    uint32_t unit;
    uint32_t length;
};

static size_t find_sets(const char *path, struct set sets[SETS_MAX])
{
    Elf64_Shdr section = section_of(path, ".debug_aranges");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t count = 0;
    for (uint64_t at = section.sh_offset; at < section.sh_offset + section.sh_size;) {
        struct set *set = &sets[count++];
        assert_true(count <= SETS_MAX);
        set->at = at;
        assert_int_equal(pread(fd, &set->length, 4, (off_t)at), 4);
        assert_int_equal(pread(fd, &set->unit, 4, (off_t)at + 6), 4);
        at += 4 + set->length;
    }
    close(fd);
    return count;
}

static int setup(void **state)
{
    if (targets_setup(state))
        return -1;
    targets_run("for i in 1 2 3 4; do for j in 1 2 3 4 5 6 7 8 9; do "
                "echo \"int f_$i$j(volatile int *v) { *v += $j; return *v * $i; }\"; done "
                "> unit$i.c; cc -O2 -g -fPIC -c -o unit$i.o unit$i.c; done && "
                "cc -shared -fPIC -o truthful unit1.o unit2.o unit3.o unit4.o");
    address_count = oracle_addresses("truthful", addresses, ADDRESSES);
    return 0;
}

static void units_are_found_where_the_table_of_addresses_names_others(void **state)
{
    (void)state;
    struct set sets[SETS_MAX];
    size_t count = find_sets("truthful", sets);
    assert_true(count >= 4);
    targets_run("cp truthful liar");
    for (size_t i = 0; i < count; i++)
        overwrite("liar", &sets[(i + 1) % count].unit, 4, sets[i].at + 6);
    assert_same_answers("liar");
}

static void units_are_found_where_the_table_leads_nowhere(void **state)
{
    (void)state;
    static const uint32_t nowhere[] = {1, 7, 0x7fffffff, 0xfffffff0};
    struct set sets[SETS_MAX];
    size_t count = find_sets("truthful", sets);
    for (size_t n = 0; n < sizeof(nowhere) / sizeof(*nowhere); n++) {
        targets_run("cp truthful liar");
        for (size_t i = 0; i < count; i++)
            overwrite("liar", &nowhere[n], 4, sets[i].at + 6);
        assert_same_answers("liar");
    }
}

static void units_are_found_that_the_table_leaves_out(void **state)
{
    (void)state;
    struct set sets[SETS_MAX];
    size_t count = find_sets("truthful", sets);
    // A set whose ranges are all empty has a unit, and no code.
    targets_run("cp truthful partial");
    static const char zeroes[4096];
    for (size_t i = 0; i < count; i += 2)
        overwrite("partial", zeroes, sets[i].length - 12, sets[i].at + 16);
    assert_same_answers("partial");
    targets_run("objcopy --remove-section .debug_aranges truthful without");
    assert_same_answers("without");
    if (!targets_try("clang --version > clang.version 2>&1"))
        return;
    targets_run("clang -O2 -g -fPIC -c -o unit2.o unit2.c && "
                "cc -shared -fPIC -o mixed unit1.o unit2.o unit3.o unit4.o && "
                "objcopy --remove-section .debug_aranges mixed mixed.without");
    size_t known;
    size_t same = agreement("mixed.without", "mixed", &known);
    assert_true(known > 50);
    assert_int_equal(same, known);
}

static void a_damaged_table_of_addresses_is_survived(void **state)
{
    (void)state;
    Elf64_Shdr section = section_of("truthful", ".debug_aranges");
    srand48(7);
    for (int i = 0; i < MUTATIONS; i++) {
        targets_run("cp truthful damaged");
        for (long n = 1 + lrand48() % 4; n > 0; n--) {
            uint32_t word = lrand48() & 1 ? (uint32_t)mrand48() : (uint32_t)lrand48() % 256;
            overwrite("damaged", &word, 4,
                      section.sh_offset + (uint64_t)lrand48() % (section.sh_size - 4));
        }
        size_t known;
        agreement("truthful", "damaged", &known);
    }
}

static void packed_sections_of_either_kind_are_read(void **state)
{
    (void)state;
    static const char *const kinds[] = {"zlib", "zlib-gnu"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        targets_run("objcopy --compress-debug-sections=%s truthful packed", kinds[i]);
        targets_run("readelf -SW packed | grep -q '%s'", i ? "zdebug_info" : "debug_info.* C ");
        assert_same_answers("packed");
    }
}

static void a_packed_section_that_is_damaged_costs_what_it_says_alone(void **state)
{
    (void)state;
    static const unsigned char garbage[32] = {0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99};
    size_t known;
    targets_run("objcopy --compress-debug-sections=zlib truthful packed");
    Elf64_Shdr info = section_of("packed", ".debug_info");
    Elf64_Shdr lines = section_of("packed", ".debug_line");
    Elf64_Shdr aranges = section_of("packed", ".debug_aranges");

    targets_run("cp packed damaged");
    overwrite("damaged", garbage, sizeof(garbage), info.sh_offset + info.sh_size / 2);
    assert_int_equal(agreement("truthful", "damaged", &known), 0);

    targets_run("cp packed damaged");
    overwrite("damaged", garbage, sizeof(garbage), lines.sh_offset + lines.sh_size / 2);
    struct dwarf_lines *opened = open_lines("damaged");
    assert_non_null(opened);
    size_t named = 0;
    for (size_t i = 0; i < address_count; i++) {
        struct dwarf_answer answer;
        if (dwarf_lines_find(opened, addresses[i], &answer))
            named += answer.frames[0].function && !answer.frames[0].line;
    }
    dwarf_lines_close(opened);
    assert_true(named > address_count / 2);

    targets_run("cp packed damaged");
    overwrite("damaged", garbage, sizeof(garbage), aranges.sh_offset + aranges.sh_size / 2);
    assert_same_answers("damaged");
}

static void a_packed_section_of_impossible_size_is_left_out(void **state)
{
    (void)state;
    size_t known;
    targets_run("objcopy --compress-debug-sections=zlib truthful packed");
    Elf64_Shdr info = section_of("packed", ".debug_info");
    const uint64_t sizes[] = {0, 1, (uint64_t)1 << 29, (uint64_t)1 << 62, UINT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        targets_run("cp packed damaged");
        overwrite("damaged", &sizes[i], sizeof(sizes[i]),
                  info.sh_offset + offsetof(Elf64_Chdr, ch_size));
        assert_int_equal(agreement("truthful", "damaged", &known), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_found_where_the_table_of_addresses_names_others),
        cmocka_unit_test(units_are_found_where_the_table_leads_nowhere),
        cmocka_unit_test(units_are_found_that_the_table_leaves_out),
        cmocka_unit_test(a_damaged_table_of_addresses_is_survived),
        cmocka_unit_test(packed_sections_of_either_kind_are_read),
        cmocka_unit_test(a_packed_section_that_is_damaged_costs_what_it_says_alone),
        cmocka_unit_test(a_packed_section_of_impossible_size_is_left_out),
    };
    return cmocka_run_group_tests(tests, setup, targets_teardown);
}
