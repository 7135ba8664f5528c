// Functions, files, lines and inlined calls: the same that addr2line and eu-addr2line print, for
// thousands of addresses of programs built in many ways.

#include "profiler/symbols/dwarf_lines.h"
#include "profiler/symbols/elf_find.h"
#include "profiler/symbols/elf_symbols_load.h"
#include "tests/symbol_targets/oracle.h"

#include <gnu/libc-version.h>

enum { ADDRESSES = 2000, SHOWN = 10 };

static struct dwarf_lines *open_lines(const char *path)
{
    struct elf_file file;
    struct dwarf_lines *lines;
    assert_int_equal(elf_file_open(path, &file), 0);
    assert_int_equal(dwarf_lines_open_file(&file, path, &lines), 0);
    elf_file_close(&file);
    return lines;
}

static const char *shown(const char *text)
{
    return text ? text : "??";
}

// Where the compiler's directory is relative, elfutils puts it in front once more than libdw does.
static bool same_file(const char *ours, const char *theirs)
{
    size_t length = strlen(theirs);
    size_t tail = strlen(shown(ours));
    if (strcmp(shown(ours), theirs) == 0)
        return true;
    return ours && ours[0] != '/' && length > tail && theirs[length - tail - 1] == '/' &&
           strcmp(theirs + length - tail, ours) == 0;
}

static bool same_frame(const struct dwarf_frame *ours, const struct oracle_frame *theirs)
{
    return strcmp(shown(ours->function), theirs->function) == 0 &&
           same_file(ours->file, theirs->file) && ours->line == theirs->line;
}

static bool same_answer(const struct dwarf_answer *ours, const struct oracle_answer *theirs)
{
    if (ours->count != theirs->count)
        return false;
    for (unsigned i = 0; i < ours->count; i++)
        if (!same_frame(&ours->frames[i], &theirs->frames[i]))
            return false;
    return true;
}

static void show(const struct dwarf_answer *ours, const struct oracle_answer *const theirs[2])
{
    fprintf(stderr, "0x%lx:\n", theirs[0]->address);
    for (unsigned i = 0; i < ours->count; i++)
        fprintf(stderr, "  ours         %s %s:%u\n", shown(ours->frames[i].function),
                shown(ours->frames[i].file), ours->frames[i].line);
    for (unsigned tool = 0; tool < 2; tool++)
        for (unsigned i = 0; i < theirs[tool]->count; i++)
            fprintf(stderr, "  %s %s %s:%u\n", tool ? "eu-addr2line" : "addr2line   ",
                    theirs[tool]->frames[i].function, theirs[tool]->frames[i].file,
                    theirs[tool]->frames[i].line);
}

// The tools do not always agree with each other. binutils names an innermost function that has no
// linkage name after the function around all, and takes a wrong file for some units of DWARF 5;
// elfutils takes the callers of an inlined function from where it was declared, which link-time
// optimisation makes the rule. Each time we must agree with one of them in everything.
static void compare_addresses(struct dwarf_lines *lines, const char *path,
                              const uint64_t *addresses, size_t count)
{
    struct oracle_answer *answers[2];
    for (int tool = 0; tool < 2; tool++)
        answers[tool] =
            oracle_ask(tool ? ORACLE_ELFUTILS : ORACLE_BINUTILS, path, addresses, count);
    struct elf_file file;
    struct elf_symbols symbols;
    assert_int_equal(elf_file_open(path, &file), 0);
    assert_int_equal(elf_symbols_load_file(&file, path, &symbols), 0);
    elf_file_close(&file);
    size_t agreed[2] = {0};
    size_t alone = 0;
    for (size_t i = 0; i < count; i++) {
        struct dwarf_answer ours;
        char linker_name[4096];
        if (!dwarf_lines_find(lines, addresses[i], &ours))
            ours = (struct dwarf_answer){.count = 1};
        struct elf_symbol symbol;
        struct dwarf_frame *last = &ours.frames[ours.count - 1];
        if (elf_symbols_find(&symbols, addresses[i], &symbol) &&
            dwarf_answer_lacks_name(&ours, symbol.name, symbol.length)) {
            snprintf(linker_name, sizeof(linker_name), "%.*s", (int)symbol.length, symbol.name);
            last->function = linker_name;
        }
        bool same[2];
        for (int tool = 0; tool < 2; tool++)
            agreed[tool] += same[tool] = same_answer(&ours, &answers[tool][i]);
        const struct oracle_answer *theirs[2] = {&answers[0][i], &answers[1][i]};
        if (!same[0] && !same[1] && alone++ < SHOWN)
            show(&ours, theirs);
    }
    print_message("%s: %zu addresses, %zu as addr2line, %zu as eu-addr2line\n", path, count,
                  agreed[0], agreed[1]);
    elf_symbols_release(&symbols);
    assert_int_equal(alone, 0);
    assert_true((agreed[0] > agreed[1] ? agreed[0] : agreed[1]) >= count * 99 / 100);
    for (int tool = 0; tool < 2; tool++)
        oracle_free(answers[tool], count);
}

// `symbols` is a file whose symbol table tells where code is.
static void compare(const char *path, const char *symbols)
{
    static uint64_t addresses[ADDRESSES];
    size_t count = oracle_addresses(symbols, addresses, ADDRESSES);
    assert_true(count > 200);
    struct dwarf_lines *lines = open_lines(path);
    compare_addresses(lines, path, addresses, count);
    dwarf_lines_close(lines);
}

static void c_is_as_the_tools_see_it(void **state)
{
    (void)state;
    static const char *const flags[] = {"-O0 -gdwarf-4",
                                        "-O0 -gdwarf-5",
                                        "-O2 -gdwarf-4",
                                        "-O2 -gdwarf-5",
                                        "-O3 -gdwarf-5 -ffunction-sections",
                                        "-O2 -g -gz=zlib",
                                        "-Os -g -no-pie"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        targets_run("cc %s -DWITH_MAIN -o c_program $SRC/shapes.c", flags[i]);
        compare("c_program", "c_program");
    }
}

static void cplusplus_is_as_the_tools_see_it(void **state)
{
    (void)state;
    if (!targets_try("c++ --version > c++.version 2>&1"))
        skip();
    static const char *const flags[] = {"-O2 -gdwarf-4", "-O2 -gdwarf-5", "-O0 -g", "-O2 -g -flto"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        targets_run("c++ %s -DWITH_MAIN -o cpp_program $SRC/shapes.cpp", flags[i]);
        compare("cpp_program", "cpp_program");
    }
}

static void separate_debug_files_are_found(void **state)
{
    (void)state;
    targets_run("cc -O2 -g -Wl,--build-id=none -DWITH_MAIN -o split $SRC/shapes.c && "
                "cp split split.whole && objcopy --only-keep-debug split split.debug && "
                "strip split && objcopy --add-gnu-debuglink=split.debug split");
    compare(targets_path("split"), "split.whole");
}

static void the_c_library_is_as_the_tools_see_it(void **state)
{
    (void)state;
    struct mapping mapping = targets_mapping((const void *)(uintptr_t)gnu_get_libc_version);
    struct elf_file file;
    struct elf_file debug;
    assert_int_equal(elf_file_open(mapping.path, &file), 0);
    if (elf_find_debug(&file, mapping.path, &debug) != 0) {
        elf_file_close(&file);
        skip();
    }
    char link[64];
    snprintf(link, sizeof(link), "/proc/%d/fd/%d", getpid(), debug.fd);
    compare(mapping.path, link);
    elf_file_close(&debug);
    elf_file_close(&file);
}

static void what_programs_share_is_found_through_the_alternative_link(void **state)
{
    (void)state;
    if (!targets_try("dwz --version > dwz.version 2>&1"))
        skip();
    targets_run("cc -O2 -g -DWITH_MAIN -o one $SRC/shapes.c && "
                "cc -O2 -g -DWITH_MAIN -DTWO -o two $SRC/shapes.c && "
                "mkdir sub && dwz -m sub/shared.dwz -M sub/shared.dwz one two && "
                "readelf -S one | grep -q gnu_debugaltlink");
    compare(targets_path("one"), "one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_is_as_the_tools_see_it),
        cmocka_unit_test(cplusplus_is_as_the_tools_see_it),
        cmocka_unit_test(separate_debug_files_are_found),
        cmocka_unit_test(the_c_library_is_as_the_tools_see_it),
        cmocka_unit_test(what_programs_share_is_found_through_the_alternative_link),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
