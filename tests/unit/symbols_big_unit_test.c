// A compile unit of 30,000 functions: libdw walks over all of it for each address that it is asked
// about, this library once. Counted, not timed.

#include "profiler/base/clock.h"
#include "profiler/symbols/dwarf_lines.h"
#include "profiler/symbols/dwarf_step.h"
#include "tests/symbol_targets/oracle.h"

static void a_unit_is_walked_once_however_many_addresses_are_asked_for(void **state)
{
    (void)state;
    enum { FUNCTIONS = 30000, ASKED = 10000 };
    FILE *source = fopen("big.c", "w");
    assert_non_null(source);
    fprintf(source, "volatile int sink;\nstatic inline __attribute__((always_inline)) void "
                    "touch(int v) { sink += v; }\n");
    for (int i = 0; i < FUNCTIONS; i++)
        fprintf(source, "void function_%d(int v)\n{\n    touch(v);\n}\n", i);
    assert_int_equal(fclose(source), 0);
    targets_run("cc -O0 -g -shared -fPIC -o big.so big.c");
    static uint64_t addresses[ASKED];
    size_t count = oracle_addresses("big.so", addresses, ASKED);
    assert_true(count > ASKED * 9 / 10);
    struct elf_file file;
    struct dwarf_lines *lines;
    assert_int_equal(elf_file_open("big.so", &file), 0);
    assert_int_equal(dwarf_lines_open_file(&file, "big.so", &lines), 0);
    elf_file_close(&file);
    uint64_t before = dwarf_step_progress();
    uint64_t first = 0;
    uint64_t start = clock_monotonic_ns();
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct dwarf_answer answer;
        found += dwarf_lines_find(lines, addresses[i], &answer) && answer.frames[0].line;
        if (i == 0)
            first = dwarf_step_progress() - before;
    }
    uint64_t all = dwarf_step_progress() - before;
    print_message("%zu addresses of one unit with %d functions: %.0f ms\n", count, FUNCTIONS,
                  (double)(clock_monotonic_ns() - start) / 1e6);
    print_message("%llu steps for the first, %llu in all\n", (unsigned long long)first,
                  (unsigned long long)all);
    // A step for each address; and for a walk one in some thousand entries.
    assert_true(first > 10);
    assert_int_equal(all, first + count - 1);
    assert_true(found > count * 9 / 10);
    dwarf_lines_close(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unit_is_walked_once_however_many_addresses_are_asked_for),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
