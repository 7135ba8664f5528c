// What every dump will show is looked up before anybody asks, in the background; it holds nothing
// up, and stops when it is told to.

#include "profiler/symbols/symbol_cache.h"
#include "profiler/symbols/symbols.h"
#include "tests/symbol_targets/targets.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>

enum { ROUNDS = 100 };

// Without asking for it.
static const struct symbol *final_symbol(uintptr_t address)
{
    struct mapping mapping;
    const struct symbol *symbol = NULL;
    if (!maps_find(address - 1, &mapping))
        return NULL;
    lock_acquire(&symbol_cache_lock);
    const struct symbol_entry *entry =
        symbol_cache_find(address, symbol_modules_identity(&mapping));
    if (entry && entry->final)
        symbol = entry->symbol;
    lock_release(&symbol_cache_lock);
    return symbol;
}

static int dwarf_state(const void *code)
{
    struct mapping mapping;
    struct symbol_module *module = NULL;
    if (maps_find((uintptr_t)code, &mapping))
        module = symbol_modules_get(&mapping);
    return module ? atomic_load(&module->dwarf) : MODULE_DWARF_UNKNOWN;
}

static unsigned line_of_start;

static uintptr_t __attribute__((noinline)) started_from(void)
{
    symbols_warm_up();
    uintptr_t address = (uintptr_t)__builtin_return_address(0);
    __asm__ volatile("" : "+r"(address));
    return address;
}

static int as_new(void **state)
{
    (void)state;
    // As in a child: what was looked up is known, and no module is.
    symbols_after_fork();
    return 0;
}

static void the_frames_around_a_start_are_looked_up_without_being_asked_for(void **state)
{
    (void)state;
    assert_int_equal(symbols_start(), 0);
    line_of_start = __LINE__ + 1;
    uintptr_t address = started_from();
    const struct symbol *symbol = NULL;
    eventually((symbol = final_symbol(address)));
    assert_true(symbol->has_lines);
    assert_string_equal(symbol->frames[0].file, __FILE__);
    assert_int_equal(symbol->frames[0].line, line_of_start);
    symbols_stop();
}

static void the_program_and_the_c_library_are_read_whoever_starts(void **state)
{
    (void)state;
    assert_int_equal(symbols_start(), 0);
    assert_int_equal(dwarf_state((const void *)getauxval(AT_ENTRY)), MODULE_DWARF_UNKNOWN);
    assert_int_equal(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version),
                     MODULE_DWARF_UNKNOWN);
    symbols_warm_up();
    eventually(dwarf_state((const void *)getauxval(AT_ENTRY)) == MODULE_DWARF_OPEN);
    // It has DWARF where that package is installed; that it was looked for is what counts.
    eventually(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version) != MODULE_DWARF_UNKNOWN);
    symbols_stop();
}

static void taskprof_start_does_it_unless_it_is_told_not_to(void **state)
{
    struct taskprof_options options = TASKPROF_OPTIONS_INIT;
    options.http = "off";
    options.warm_up = "off";
    assert_int_equal(taskprof_start(&options), 0);
    // Questions are answered in turn: what a warm-up asks would have been answered before this.
    uintptr_t address = (uintptr_t)as_new + 1;
    const struct symbol *symbol;
    assert_int_equal(symbols_resolve(&address, 1, &symbol), 0);
    assert_true(symbol->has_lines);
    assert_int_equal(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version),
                     MODULE_DWARF_UNKNOWN);
    assert_int_equal(taskprof_stop(), 0);
    as_new(state);
    options.warm_up = "on";
    assert_int_equal(taskprof_start(&options), 0);
    eventually(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version) != MODULE_DWARF_UNKNOWN);
    assert_int_equal(taskprof_stop(), 0);
}

static void a_large_module_waits_until_it_is_asked_about(void **state)
{
    (void)state;
    targets_run("printf '%%s\\n' 'void call(void (*function)(void)) { function();' "
                "'__asm__ volatile(\"\"); }' > large.c && "
                "printf '%%s\\n' '.section .debug_str,\"MS\",@progbits,1' '.zero 34 << 20, 65' "
                "'.byte 0' '.section .note.GNU-stack,\"\",@progbits' > large_names.S && "
                "cc -O2 -g -shared -fPIC -o large.so large.c large_names.S");
    void *library = dlopen(targets_path("large.so"), RTLD_NOW);
    assert_non_null(library);
    void (*call)(void (*)(void));
    *(void **)&call = dlsym(library, "call");
    assert_int_equal(symbols_start(), 0);
    call(symbols_warm_up);
    // Its frame is the first of all, and the C library's are the last.
    eventually(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version) != MODULE_DWARF_UNKNOWN);
    assert_int_equal(dwarf_state((const void *)call), MODULE_DWARF_UNKNOWN);
    uintptr_t address = (uintptr_t)call + 1;
    const struct symbol *symbol;
    assert_int_equal(symbols_resolve(&address, 1, &symbol), 0);
    assert_int_equal(dwarf_state((const void *)call), MODULE_DWARF_OPEN);
    assert_string_equal(symbol->frames[0].function, "call");
    assert_int_equal(symbol->frames[0].line, 1);
    symbols_stop();
    dlclose(library);
}

static void a_stop_may_come_at_any_time(void **state)
{
    for (int i = 0; i < ROUNDS; i++) {
        as_new(state);
        assert_int_equal(symbols_start(), 0);
        symbols_warm_up();
        // From at once to some way into it.
        for (int turn = 0; turn < i * 4; turn++)
            sched_yield();
        symbols_stop();
    }
    // What was broken off is not taken for what there is.
    uintptr_t address = started_from();
    assert_int_equal(symbols_start(), 0);
    const struct symbol *symbol;
    assert_int_equal(symbols_resolve(&address, 1, &symbol), 0);
    assert_true(symbol->has_lines);
    symbols_stop();
}

static void a_fork_may_come_at_any_time(void **state)
{
    for (int i = 0; i < ROUNDS / 4; i++) {
        as_new(state);
        assert_int_equal(symbols_start(), 0);
        symbols_warm_up();
        for (int turn = 0; turn < i * 16; turn++)
            sched_yield();
        pid_t child = fork();
        if (child == 0) {
            uintptr_t address = (uintptr_t)as_new + 1;
            const struct symbol *symbol;
            maps_after_fork();
            symbols_after_fork();
            _exit(symbols_resolve(&address, 1, &symbol) != 0 || !symbol->frames[0].function[0]);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        symbols_stop();
    }
}

static unsigned descriptors_of(const char *thread)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%s/fd", thread);
    DIR *all = opendir(path);
    for (struct dirent *one; all && (one = readdir(all));)
        count += one->d_name[0] != '.';
    if (all)
        closedir(all);
    return count;
}

// The DWARF thread's id; "" if there is none.
static void find_thread(char id[32])
{
    id[0] = '\0';
    targets_run("grep -l taskprof-dwarf /proc/%d/task/*/comm | cut -d/ -f5 > thread", getpid());
    FILE *file = fopen("thread", "r");
    assert_int_equal(fscanf(file, "%31s", id), 1);
    fclose(file);
}

static void what_it_reads_takes_no_descriptor_of_the_applications(void **state)
{
    char id[32];
    if (syscall(SYS_close_range, ~0u, ~0u, 0) < 0)
        skip();
    int held = open("/dev/null", O_RDONLY);
    assert_int_equal(symbols_start(), 0);
    find_thread(id);
    // A pipe's end that the thread had too would keep the other end from seeing it closed.
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    eventually(descriptors_of(id) == 0);
    close(ends[1]);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    // While it is at work, the application's next number is the one that it has just closed.
    for (int i = 0; i < ROUNDS * 10; i++) {
        if (i % ROUNDS == 0) {
            symbols_stop();
            as_new(state);
            assert_int_equal(symbols_start(), 0);
            symbols_warm_up();
        }
        close(held);
        sched_yield();
        assert_int_equal(open("/dev/null", O_RDONLY), held);
    }
    symbols_stop();
    close(held);
}

static void *warm_up_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++)
        symbols_warm_up();
    return NULL;
}

static void many_threads_may_start_it_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    assert_int_equal(symbols_start(), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, warm_up_often, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    eventually(dwarf_state((const void *)(uintptr_t)gnu_get_libc_version) != MODULE_DWARF_UNKNOWN);
    symbols_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_frames_around_a_start_are_looked_up_without_being_asked_for,
                               as_new),
        cmocka_unit_test_setup(the_program_and_the_c_library_are_read_whoever_starts, as_new),
        cmocka_unit_test_setup(taskprof_start_does_it_unless_it_is_told_not_to, as_new),
        cmocka_unit_test_setup(a_large_module_waits_until_it_is_asked_about, as_new),
        cmocka_unit_test_setup(a_stop_may_come_at_any_time, as_new),
        cmocka_unit_test_setup(a_fork_may_come_at_any_time, as_new),
        cmocka_unit_test_setup(what_it_reads_takes_no_descriptor_of_the_applications, as_new),
        cmocka_unit_test_setup(many_threads_may_start_it_at_once, as_new),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
