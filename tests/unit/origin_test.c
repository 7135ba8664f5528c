// Which frame of a creation stack is called the creator.

#include "profiler/symbols/origin.h"

#include "tests/test.h"

#include <string.h>

enum { FRAMES_MAX = 4 };

static struct symbol made[ORIGIN_DEPTH];
static struct symbol_frame frames[ORIGIN_DEPTH][FRAMES_MAX];
static uintptr_t addresses[ORIGIN_DEPTH];

// The creator among frames given as text: "a b" is a inlined into b, NULL an unknown address.
static struct origin chosen(const char *const *stack, size_t count)
{
    static char texts[ORIGIN_DEPTH][128];
    const struct symbol *symbols[ORIGIN_DEPTH] = {NULL};
    for (size_t i = 0; i < count; i++) {
        addresses[i] = 0x1001 + 0x100 * i;
        if (!stack[i])
            continue;
        strncpy(texts[i], stack[i], sizeof(texts[i]) - 1);
        made[i] = (struct symbol){.entry = 0x1000 + 0x100 * i, .frames = frames[i]};
        for (char *at = texts[i]; at; made[i].count++) {
            char *space = strchr(at, ' ');
            frames[i][made[i].count] = (struct symbol_frame){.function = at, .file = ""};
            if (space)
                *space++ = '\0';
            at = space;
        }
        symbols[i] = &made[i];
    }
    return origin_choose(addresses, symbols, count);
}

#define CHOSEN(...)                       \
    chosen((const char *[]){__VA_ARGS__}, \
           sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *))

static void assert_chosen(struct origin origin, size_t at, const char *function)
{
    assert_int_equal(origin.address, 0x1001 + 0x100 * at);
    assert_int_equal(origin.entry, 0x1000 + 0x100 * at);
    assert_string_equal(origin.frame->function, function);
}

static void functions_that_only_pass_on_a_creation_are_skipped(void **state)
{
    (void)state;
    assert_chosen(CHOSEN("taskprof_pthread_create", "start_pool", "main"), 1, "start_pool");
    assert_chosen(CHOSEN("pthread_create", "taskprof_x", "thrd_create", "start_pool"), 3,
                  "start_pool");
    assert_chosen(CHOSEN("start_pool", "taskprof_x", "main"), 0, "start_pool");
    // Names that only look alike.
    assert_chosen(CHOSEN("pthread_create_pool"), 0, "pthread_create_pool");
    assert_chosen(CHOSEN("my_taskprof_x"), 0, "my_taskprof_x");
}

static void inlined_frames_count_as_any_other(void **state)
{
    (void)state;
    assert_chosen(CHOSEN("taskprof_inlined serve", "main"), 0, "serve");
    assert_chosen(CHOSEN("serve main"), 0, "serve");
    assert_chosen(CHOSEN("taskprof_x", "taskprof_y pthread_create start_pool main"), 1,
                  "start_pool");
}

static void what_is_inlined_into_taskprofs_own_is_its_own(void **state)
{
    (void)state;
    assert_chosen(CHOSEN("helper taskprof_pthread_create", "start_pool"), 1, "start_pool");
    assert_chosen(CHOSEN("helper taskprof_x start_pool"), 0, "start_pool");
}

static void cxx_library_is_skipped_as_long_as_somebody_calls_it(void **state)
{
    (void)state;
    assert_chosen(CHOSEN("pthread_create", "_ZNSt6thread15_M_start_threadEv", "serve"), 2, "serve");
    assert_chosen(CHOSEN("taskprof_x", "_ZSt5asyncIvEv serve"), 1, "serve");
    assert_chosen(CHOSEN("pthread_create", "_ZN5Store5startEv"), 1, "_ZN5Store5startEv");
    assert_chosen(CHOSEN("pthread_create", "_ZNSt6thread15_M_start_threadEv"), 1,
                  "_ZNSt6thread15_M_start_threadEv");
    // A template over a lambda, whose name is not mangled.
    struct symbol_frame inlined[] = {
        {"thread<main()::<lambda()> >", "/usr/include/c++/12/bits/std_thread.h", 143, 0},
        {"main", "/src/main.cpp", 7, 0},
    };
    struct symbol symbol = {.entry = 0x1000, .frames = inlined, .count = 2};
    // And what is inlined into the library is not the library's.
    assert_chosen(CHOSEN("pthread_create", "_ZNSt6threadC4Ev serve _ZSt8__invokeEv"), 1, "serve");
    assert_chosen(CHOSEN("_ZNSt6threadC4Ev", "_ZNSt6thread11_State_implIZ5serveE"), 1,
                  "_ZNSt6thread11_State_implIZ5serveE");
    assert_string_equal(
        origin_choose(&(uintptr_t){0x1001}, (const struct symbol *[]){&symbol}, 1).frame->function,
        "main");
}

static void an_address_without_a_name_is_the_creator_and_is_shown_as_such(void **state)
{
    char place[ORIGIN_PLACE_MAX];
    (void)state;
    struct origin origin = CHOSEN("taskprof_x", NULL, "main");
    assert_int_equal(origin.address, 0x1101);
    assert_int_equal(origin.entry, 0);
    assert_string_equal(origin_place(&origin, place), "0x1100");
    origin = CHOSEN("taskprof_x", "", "main");
    assert_chosen(origin, 1, "");
    assert_string_equal(origin_place(&origin, place), "0x1100");
}

static void without_a_creator_there_is_none(void **state)
{
    char place[ORIGIN_PLACE_MAX] = "as it was";
    (void)state;
    struct origin origin = CHOSEN("taskprof_x", "pthread_create");
    assert_int_equal(origin.address, 0);
    assert_string_equal(origin.frame->function, "");
    assert_null(origin_place(&origin, place));
    assert_string_equal(place, "as it was");
    origin = origin_of(0);
    assert_int_equal(origin.address, 0);
}

static void a_place_is_file_and_line_or_what_is_known_instead(void **state)
{
    static const struct symbol_frame known = {"serve", "/src/shop/orders.c", 120, 100};
    static const struct symbol_frame no_line = {"serve", "/src/shop/orders.c", 0, 0};
    char place[ORIGIN_PLACE_MAX];
    (void)state;
    assert_string_equal(origin_place(&(struct origin){.frame = &known, .address = 1}, place),
                        "orders.c:120");
    assert_string_equal(origin_place(&(struct origin){.frame = &no_line, .address = 1}, place),
                        "serve");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_that_only_pass_on_a_creation_are_skipped),
        cmocka_unit_test(inlined_frames_count_as_any_other),
        cmocka_unit_test(what_is_inlined_into_taskprofs_own_is_its_own),
        cmocka_unit_test(cxx_library_is_skipped_as_long_as_somebody_calls_it),
        cmocka_unit_test(an_address_without_a_name_is_the_creator_and_is_shown_as_such),
        cmocka_unit_test(without_a_creator_there_is_none),
        cmocka_unit_test(a_place_is_file_and_line_or_what_is_known_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
