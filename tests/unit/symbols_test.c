// From a return address to function, file and line: with the DWARF thread, without it, and while it
// is stuck; across dlclose and fork; for addresses that are nothing.

#include "profiler/base/clock.h"
#include "profiler/symbols/dwarf_lines.h"
#include "profiler/symbols/symbols.h"
#include "tests/symbol_targets/targets.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static _Atomic bool malloc_is_stuck;
static _Atomic unsigned stuck_threads;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

// As if some thread had malloc's lock for ever: for all threads, so that the test fails too if a
// name costs a malloc.
static void pass_or_hang(void)
{
    if (!atomic_load(&malloc_is_stuck))
        return;
    atomic_fetch_add(&stuck_threads, 1);
    while (atomic_load(&malloc_is_stuck))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void *malloc(size_t size)
{
    pass_or_hang();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    pass_or_hang();
    return __libc_calloc(count, size);
}
#endif

static const struct symbol *resolve(uintptr_t address, int expected)
{
    const struct symbol *symbol = NULL;
    errno = 77;
    assert_int_equal(symbols_resolve(&address, 1, &symbol), expected);
    assert_int_equal(errno, 77);
    assert_non_null(symbol);
    assert_true(symbol->count >= 1);
    return symbol;
}

static uintptr_t __attribute__((noinline)) caller(void)
{
    return (uintptr_t)__builtin_return_address(0);
}

static unsigned line_of_call;

static uintptr_t __attribute__((noinline)) known_function(void)
{
    line_of_call = __LINE__ + 1;
    uintptr_t address = caller();
    __asm__ volatile("" : "+r"(address));
    return address;
}

static void without_the_thread_there_are_names_alone(void **state)
{
    (void)state;
    uintptr_t address = known_function();
    const struct symbol *symbol = resolve(address, 0);
    assert_string_equal(symbol->frames[0].function, "known_function");
    assert_string_equal(symbol->frames[0].file, "");
    assert_false(symbol->has_lines);
    assert_true(symbol->entry == (uintptr_t)known_function);
    assert_true(symbol->address == address);
}

static void with_it_there_are_files_and_lines(void **state)
{
    (void)state;
    uintptr_t address = known_function();
    const struct symbol *names = resolve(address, 0);
    assert_int_equal(symbols_start(), 0);
    const struct symbol *symbol = resolve(address, 0);
    assert_string_equal(symbol->frames[0].function, "known_function");
    assert_string_equal(symbol->frames[0].file, __FILE__);
    assert_int_equal(symbol->frames[0].line, line_of_call);
    assert_true(symbol->frames[0].start_line > 0 && symbol->frames[0].start_line < line_of_call);
    assert_true(symbol->has_lines);
    assert_true(symbol->entry == (uintptr_t)known_function);
    assert_ptr_equal(resolve(address, 0), symbol);
    // What was handed out before is as it was.
    assert_string_equal(names->frames[0].function, "known_function");
    assert_false(names->has_lines);
    symbols_stop();
    assert_ptr_equal(resolve(address, 0), symbol);
}

static void the_thread_can_be_started_again(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(symbols_start(), 0);
        assert_int_equal(symbols_start(), 0);
        symbols_stop();
        symbols_stop();
    }
}

static void addresses_that_are_nothing_have_no_name(void **state)
{
    (void)state;
    static char data[64];
    const uintptr_t addresses[] = {0, 1, 4096, (uintptr_t)data, UINTPTR_MAX, (uintptr_t)&data};
    const struct symbol *symbols[6];
    assert_int_equal(symbols_start(), 0);
    assert_int_equal(symbols_resolve(addresses, 6, symbols), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(symbols[i]->count, 1);
        assert_string_equal(symbols[i]->frames[0].function, "");
        assert_string_equal(symbols[i]->frames[0].file, "");
        assert_true(symbols[i]->address == addresses[i]);
        assert_false(symbols[i]->has_lines);
    }
    assert_int_equal(symbols_resolve(NULL, 0, NULL), 0);
    symbols_stop();
}

static void the_vdso_has_a_name(void **state)
{
    (void)state;
    void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(vdso);
    void *function = dlsym(vdso, "__vdso_clock_gettime");
    assert_non_null(function);
    const struct symbol *symbol = resolve((uintptr_t)function + 1, 0);
    assert_non_null(strstr(symbol->frames[0].function, "clock_gettime"));
    assert_true(symbol->entry == (uintptr_t)function);
    dlclose(vdso);
}

static void inlined_calls_are_frames_of_their_own(void **state)
{
    (void)state;
    targets_run("printf '%%s\\n' 'volatile int sink;' "
                "'static inline __attribute__((always_inline)) void inner(void)' "
                "'{ sink = 1; }' 'void outer(void)' '{' 'inner();' '}' > inline.c && "
                "cc -O2 -g -shared -fPIC -o inline.so inline.c");
    void *library = dlopen(targets_path("inline.so"), RTLD_NOW);
    assert_non_null(library);
    uintptr_t outer = (uintptr_t)dlsym(library, "outer");
    assert_int_equal(maps_refresh(), 0);
    assert_int_equal(symbols_start(), 0);
    const struct symbol *symbol = NULL;
    for (uintptr_t at = outer + 1; at < outer + 16 && (!symbol || symbol->count < 2); at++)
        symbol = resolve(at, 0);
    assert_int_equal(symbol->count, 2);
    assert_string_equal(symbol->frames[0].function, "inner");
    assert_int_equal(symbol->frames[0].line, 3);
    assert_int_equal(symbol->frames[0].start_line, 2);
    assert_string_equal(symbol->frames[1].function, "outer");
    assert_int_equal(symbol->frames[1].line, 6);
    assert_int_equal(symbol->frames[1].start_line, 4);
    assert_string_equal(symbol->frames[1].file, targets_path("inline.c"));
    assert_true(symbol->entry == outer);
    symbols_stop();
    dlclose(library);
}

static void names_come_while_malloc_is_stuck_and_lines_when_it_is_free_again(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    targets_run("cc -O2 -g -shared -fPIC -o stuck.so $SRC/shapes.c");
    void *library = dlopen(targets_path("stuck.so"), RTLD_NOW);
    assert_non_null(library);
    uintptr_t address = (uintptr_t)dlsym(library, "shapes_tree") + 4;
    assert_int_equal(maps_refresh(), 0);
    assert_int_equal(symbols_start(), 0);
    atomic_store(&stuck_threads, 0);
    atomic_store(&malloc_is_stuck, true);
    const struct symbol *symbol = NULL;
    int error = symbols_resolve(&address, 1, &symbol);
    unsigned stuck = atomic_load(&stuck_threads);
    // The second time nobody waits for a thread of which it is known that it is stuck.
    uint64_t start = clock_monotonic_ns();
    int again = symbols_resolve(&address, 1, &symbol);
    uint64_t took = clock_monotonic_ns() - start;
    symbols_stop(); // must not wait for ever
    int restarted = symbols_start();
    atomic_store(&malloc_is_stuck, false);
    assert_int_equal(stuck, 1);
    assert_int_equal(error, -ETIMEDOUT);
    assert_int_equal(again, -ETIMEDOUT);
    assert_true(took < 1000000000);
    assert_string_equal(symbol->frames[0].function, "shapes_tree");
    assert_false(symbol->has_lines);
    assert_int_equal(restarted, 0);
    eventually((symbols_resolve(&address, 1, &symbol), symbol->has_lines));
    symbols_stop();
    dlclose(library);
}

static void a_library_in_the_place_of_another_has_its_own_names(void **state)
{
    (void)state;
    targets_run("printf 'int first(int v) { return v * 3; }' > first.c && "
                "printf 'int other(int v) { return v * 3; }' > other.c && "
                "cc -O1 -g -shared -fPIC -o first.so first.c && "
                "cc -O1 -g -shared -fPIC -o other.so other.c");
    assert_int_equal(symbols_start(), 0);
    void *library = dlopen(targets_path("first.so"), RTLD_NOW);
    uintptr_t first = (uintptr_t)dlsym(library, "first");
    assert_int_equal(maps_refresh(), 0);
    assert_string_equal(resolve(first + 1, 0)->frames[0].function, "first");
    dlclose(library);
    library = dlopen(targets_path("other.so"), RTLD_NOW);
    uintptr_t other = (uintptr_t)dlsym(library, "other");
    assert_int_equal(maps_refresh(), 0);
    const struct symbol *symbol = resolve(other + 1, 0);
    symbols_stop();
    dlclose(library);
    // Where the loader put it elsewhere (sanitizers keep the old one) there is nothing to see.
    if (other != first)
        skip();
    assert_string_equal(symbol->frames[0].function, "other");
    assert_non_null(strstr(symbol->frames[0].file, "other.c"));
}

static void a_child_has_names_and_can_start_its_own_thread(void **state)
{
    (void)state;
    uintptr_t address = (uintptr_t)puts + 5;
    uintptr_t known = known_function();
    assert_int_equal(symbols_start(), 0);
    const struct symbol *parents = resolve(known, 0);
    pid_t child = fork();
    if (child == 0) {
        const struct symbol *symbol;
        maps_after_fork();
        symbols_after_fork();
        int failures = symbols_resolve(&known, 1, &symbol) != 0 || symbol != parents;
        failures += symbols_resolve(&address, 1, &symbol) != 0 || !symbol->frames[0].function[0];
        if (!SANITIZED) {
            failures += symbols_start() != 0;
            failures += symbols_resolve(&address, 1, &symbol) != 0;
            symbols_stop();
        }
        _exit(failures);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    symbols_stop();
}

enum { THREADS = 4, ROUNDS = 50, ASKED = 200 };

static void *resolve_many(void *argument)
{
    uintptr_t start = (uintptr_t)argument;
    uintptr_t addresses[ASKED];
    const struct symbol *symbols[ASKED];
    uintptr_t bad = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ASKED; i++)
            addresses[i] = start + (uintptr_t)((round * 7 + i) % 997);
        bad += symbols_resolve(addresses, ASKED, symbols) != 0;
        for (int i = 0; i < ASKED; i++)
            bad += symbols[i]->address != addresses[i] || !symbols[i]->frames[0].function;
    }
    return (void *)bad;
}

static void many_threads_ask_at_once(void **state)
{
    (void)state;
    assert_int_equal(symbols_start(), 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, resolve_many, (void *)(uintptr_t)known_function), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    symbols_stop();
}

static void the_thread_takes_no_signal(void **state)
{
    (void)state;
    assert_int_equal(symbols_start(), 0);
    resolve((uintptr_t)printf + 1, 0);
    targets_run("grep -l taskprof-dwarf /proc/%d/task/*/comm | head -1 | xargs dirname > thread && "
                "grep SigBlk $(cat thread)/status > blocked",
                getpid());
    FILE *file = fopen("blocked", "r");
    unsigned long blocked = 0;
    assert_int_equal(fscanf(file, "SigBlk: %lx", &blocked), 1);
    fclose(file);
    symbols_stop();
    const int signals[] = {SIGINT, SIGTERM, SIGPROF, SIGUSR1, SIGCHLD, SIGALRM};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        assert_true(blocked & 1ul << (signals[i] - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_thread_there_are_names_alone),
        cmocka_unit_test(with_it_there_are_files_and_lines),
        cmocka_unit_test(the_thread_can_be_started_again),
        cmocka_unit_test(addresses_that_are_nothing_have_no_name),
        cmocka_unit_test(the_vdso_has_a_name),
        cmocka_unit_test(inlined_calls_are_frames_of_their_own),
        cmocka_unit_test(names_come_while_malloc_is_stuck_and_lines_when_it_is_free_again),
        cmocka_unit_test(a_library_in_the_place_of_another_has_its_own_names),
        cmocka_unit_test(a_child_has_names_and_can_start_its_own_thread),
        cmocka_unit_test(many_threads_ask_at_once),
        cmocka_unit_test(the_thread_takes_no_signal),
    };
    return cmocka_run_group_tests(tests, targets_setup, targets_teardown);
}
