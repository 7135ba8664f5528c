// The goroutine profile: a sample a group, its stack, labels and values, and the delta of two.

#include "tests/unit/pprof_fixture.h"

#include <taskprof/taskprof.h>

static Profile *goroutine(const struct snapshot *snapshot, const struct snapshot *before)
{
    struct pprof_stream *stream = NULL;
    assert_int_equal(pprof_goroutine(snapshot, before, &stream), 0);
    return decoded(stream);
}

static Profile *one_group(struct snapshot_group group)
{
    struct snapshot snapshot = fake_snapshot(&group, 1);
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_sample, 1);
    return profile;
}

static void the_header_names_types_period_and_time(void **state)
{
    (void)state;
    Profile *profile = one_group((struct snapshot_group){.count = 3});
    assert_string_equal(profile->string_table[0], "");
    assert_int_equal(profile->n_sample_type, 2);
    assert_string_equal(text(profile, profile->sample_type[0]->type), "goroutine");
    assert_string_equal(text(profile, profile->sample_type[0]->unit), "count");
    assert_string_equal(text(profile, profile->sample_type[1]->type), "wait");
    assert_string_equal(text(profile, profile->sample_type[1]->unit), "nanoseconds");
    assert_string_equal(text(profile, profile->default_sample_type), "goroutine");
    assert_string_equal(text(profile, profile->period_type->type), "goroutine");
    assert_string_equal(text(profile, profile->period_type->unit), "count");
    assert_int_equal(profile->period, 1);
    assert_int_equal(profile->time_nanos, 1700000000123456789);
    assert_int_equal(profile->duration_nanos, 0);
    free_profile(profile);
}

static void the_comment_carries_the_snapshots_own_counts(void **state)
{
    (void)state;
    struct snapshot snapshot = fake_snapshot(NULL, 0);
    snapshot.moved = 11;
    snapshot.truncated = 22;
    snapshot.unreadable = 33;
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_comment, 1);
    const char *comment = text(profile, profile->comment[0]);
    assert_non_null(strstr(comment, "taskprof " TASKPROF_VERSION ": tasks=0 "));
    assert_non_null(strstr(comment, " moved=11 truncated=22 unreadable=33 "));
    assert_null(strchr(comment, '\n'));
    free_profile(profile);
}

static void a_group_is_a_sample_with_count_and_wait_under_its_stack(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"wait_for_order", "/src/orders.c", 120, 100});
    SYMBOL(MAIN_START + 0x22, {"worker", "/src/pool.c", 7, 5});
    Profile *profile = one_group((struct snapshot_group){
        .stack = STACK(MAIN_START + 0x11, MAIN_START + 0x22),
        .reason = TASKPROF_CHAN_RECEIVE,
        .count = 412,
        .wait_sum_ns = 9000000000,
    });
    const Sample *sample = profile->sample[0];
    assert_int_equal(sample->n_value, 2);
    assert_int_equal(sample->value[0], 412);
    assert_int_equal(sample->value[1], 9000000000);
    assert_int_equal(sample->n_location_id, 2);
    assert_string_equal(function(profile, sample, 0, 0), "wait_for_order");
    assert_string_equal(function(profile, sample, 1, 0), "worker");
    const Location *leaf = location(profile, sample, 0);
    assert_int_equal(leaf->line[0]->line, 120);
    const Function *named = profile->function[leaf->line[0]->function_id - 1];
    assert_string_equal(text(profile, named->filename), "/src/orders.c");
    assert_string_equal(text(profile, named->system_name), "wait_for_order");
    assert_int_equal(named->start_line, 100);
    free_profile(profile);
}

static void an_address_is_that_of_the_call_not_of_the_return(void **state)
{
    (void)state;
    // The call is the last instruction of its mapping: only address - 1 lies in it.
    Profile *profile = one_group((struct snapshot_group){
        .stack = STACK(MAIN_START + MAPPING_SIZE),
        .count = 1,
    });
    const Location *leaf = location(profile, profile->sample[0], 0);
    assert_int_equal(leaf->address, MAIN_START + MAPPING_SIZE - 1);
    assert_int_equal(leaf->mapping_id, 1);
    free_profile(profile);
}

static void inlined_frames_are_lines_of_one_location_innermost_first(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"innermost", "/src/a.h", 1, 0}, {"middle", "/src/b.h", 2, 0},
           {"outer", "/src/c.c", 3, 0});
    Profile *profile =
        one_group((struct snapshot_group){.stack = STACK(MAIN_START + 0x11), .count = 1});
    const Sample *sample = profile->sample[0];
    assert_int_equal(sample->n_location_id, 1);
    assert_int_equal(location(profile, sample, 0)->n_line, 3);
    assert_string_equal(function(profile, sample, 0, 0), "innermost");
    assert_string_equal(function(profile, sample, 0, 1), "middle");
    assert_string_equal(function(profile, sample, 0, 2), "outer");
    free_profile(profile);
}

// The length that stands before an entry takes one byte below 128, and two from there on.
static void entries_of_any_length_are_whole(void **state)
{
    (void)state;
    enum { MOST = 64 };
    static const struct symbol_frame inlined[MOST] = {[0 ... MOST - 1] = {
                                                          .function = "f",
                                                          .file = "/src/f.c",
                                                          .line = 1000,
                                                      }};
    struct snapshot_group groups[MOST];
    size_t shortest = SIZE_MAX;
    size_t longest = 0;
    for (unsigned i = 0; i < MOST; i++) {
        fake_symbol(MAIN_START + 0x100 + i, i + 1, inlined);
        groups[i] = (struct snapshot_group){.stack = STACK(MAIN_START + 0x100 + i), .count = 1};
    }
    struct snapshot snapshot = fake_snapshot(groups, MOST);
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_location, MOST);
    for (unsigned i = 0; i < MOST; i++) {
        const Location *location = profile->location[i];
        assert_int_equal(location->address, MAIN_START + 0x100 + i - 1);
        assert_int_equal(location->n_line, i + 1);
        for (unsigned line = 0; line <= i; line++)
            assert_int_equal(location->line[line]->line, 1000);
        size_t size = perftools__profiles__location__get_packed_size(location);
        shortest = size < shortest ? size : shortest;
        longest = size > longest ? size : longest;
    }
    assert_true(shortest < 128 && longest >= 256);
    free_profile(profile);
}

static void addresses_and_functions_are_kept_once_and_ids_are_dense(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "/src/a.c", 1, 1});
    SYMBOL(MAIN_START + 0x15, {"leaf", "/src/a.c", 2, 1});
    SYMBOL(MAIN_START + 0x22, {"root", "/src/a.c", 9, 8});
    SYMBOL(MAIN_START + 0x33, {"root", "/src/b.c", 9, 8}); // a static namesake
    struct snapshot_group groups[] = {
        {.stack = STACK(MAIN_START + 0x11, MAIN_START + 0x22), .count = 3},
        {.stack = STACK(MAIN_START + 0x15, MAIN_START + 0x22), .count = 2},
        {.stack = STACK(MAIN_START + 0x15, MAIN_START + 0x33), .count = 1},
    };
    struct snapshot snapshot = fake_snapshot(groups, 3);
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_location, 4);
    for (size_t i = 0; i < profile->n_location; i++)
        assert_int_equal(profile->location[i]->id, i + 1);
    assert_int_equal(profile->n_function, 3);
    for (size_t i = 0; i < profile->n_function; i++)
        assert_int_equal(profile->function[i]->id, i + 1);
    assert_int_equal(resolve_calls, 1);
    free_profile(profile);
}

static void the_main_binary_is_the_first_mapping_even_without_a_frame(void **state)
{
    (void)state;
    struct snapshot_group group = {.stack = STACK(LIBC_START + 5), .count = 1};
    struct snapshot snapshot = fake_snapshot(&group, 1);
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_mapping, 2);
    assert_string_equal(text(profile, profile->mapping[0]->filename), "/opt/shop/server");
    assert_string_equal(text(profile, profile->mapping[0]->build_id), "dead000f");
    assert_int_equal(profile->mapping[0]->memory_start, MAIN_START);
    assert_int_equal(profile->mapping[0]->memory_limit, MAIN_START + MAPPING_SIZE);
    assert_int_equal(profile->mapping[0]->file_offset, 0x1000);
    assert_int_equal(location(profile, profile->sample[0], 0)->mapping_id, 2);
    free_profile(profile);

    snapshot.main_mapping = 2;
    profile = goroutine(&snapshot, NULL);
    assert_string_equal(text(profile, profile->mapping[0]->filename), "[vdso]");
    assert_string_equal(text(profile, profile->mapping[1]->filename), "/lib/libc.so.6");
    assert_int_equal(location(profile, profile->sample[0], 0)->mapping_id, 2);
    free_profile(profile);
}

static void a_mapping_promises_only_what_holds_for_all_its_locations(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"whole", "/src/a.c", 1, 1});
    SYMBOL(LIBC_START + 0x11, {"name_alone", "", 0, 0});
    SYMBOL(VDSO_START + 0x11, {"whole", "/src/a.c", 1, 1});
    Profile *profile = one_group((struct snapshot_group){
        .stack = STACK(MAIN_START + 0x11, LIBC_START + 0x11, VDSO_START + 0x11, VDSO_START + 0x22),
        .count = 1,
    });
    const Mapping *main_binary = mapping(profile, "/opt/shop/server");
    assert_true(main_binary->has_functions && main_binary->has_filenames);
    assert_true(main_binary->has_line_numbers && main_binary->has_inline_frames);
    const Mapping *names = mapping(profile, "/lib/libc.so.6");
    assert_true(names->has_functions);
    assert_false(names->has_filenames || names->has_line_numbers || names->has_inline_frames);
    const Mapping *partly = mapping(profile, "[vdso]");
    assert_false(partly->has_functions || partly->has_filenames);
    assert_false(partly->has_line_numbers || partly->has_inline_frames);
    assert_int_equal(location(profile, profile->sample[0], 3)->n_line, 0);
    free_profile(profile);
}

static void an_address_outside_all_mappings_has_none(void **state)
{
    (void)state;
    Profile *profile = one_group((struct snapshot_group){.stack = STACK(0x11, 0), .count = 1});
    assert_int_equal(location(profile, profile->sample[0], 0)->mapping_id, 0);
    assert_int_equal(location(profile, profile->sample[0], 1)->address, 0);
    free_profile(profile);
}

static void stacks_that_are_missing_or_end_early_say_so(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "/src/a.c", 1, 1});
    struct snapshot_group groups[] = {
        {.stack = fake_stack(STACK_NO_RULE, 1, (uintptr_t[]){MAIN_START + 0x11}), .count = 2},
        {.stack = 0, .activity = TASK_RUNNING, .count = 1},
    };
    struct snapshot snapshot = fake_snapshot(groups, 2);
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->sample[0]->n_location_id, 2);
    assert_string_equal(function(profile, profile->sample[0], 0, 0), "leaf");
    assert_string_equal(function(profile, profile->sample[0], 1, 0), "[truncated]");
    assert_int_equal(profile->sample[1]->n_location_id, 1);
    assert_string_equal(function(profile, profile->sample[1], 0, 0), "[stack unknown]");
    for (size_t i = 0; i < profile->n_location; i++)
        assert_int_equal(profile->location[i]->id, i + 1);
    free_profile(profile);
}

static void the_state_is_the_reason_or_what_the_task_does(void **state)
{
    (void)state;
    const struct {
        struct snapshot_group group;
        const char *text;
    } cases[] = {
        {{.activity = TASK_PARKED, .reason = TASKPROF_CHAN_SEND}, "chan send"},
        {{.activity = TASK_PARKED, .reason = TASKPROF_MUTEX_LOCK}, "sync.Mutex.Lock"},
        {{.activity = TASK_RUNNING}, "running"},
        {{.activity = TASK_IN_SYSCALL, .syscall = 202}, "syscall"},
        {{.activity = TASK_NOT_STARTED}, "runnable"},
        {{.activity = TASK_SUSPENDED}, "suspended"},
        {{.activity = TASK_UNREADABLE}, "unknown"},
        {{.activity = 999}, "unknown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct snapshot_group group = cases[i].group;
        group.count = 1;
        Profile *profile = one_group(group);
        assert_label(profile, profile->sample[0], "state", cases[i].text);
        assert_label(profile, profile->sample[0], "channel", NULL);
        assert_label(profile, profile->sample[0], "created_by", NULL);
        free_profile(profile);
    }
}

static void a_channel_is_labelled_by_name_else_by_where_it_was_made(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"taskprof_chan_make", "/src/chan.c", 50, 1});
    SYMBOL(MAIN_START + 0x22, {"start_orders", "/src/shop/orders.c", 120, 1});
    SYMBOL(MAIN_START + 0x33, {"only_a_name", "", 0, 0});
    name_class(1, "orders");
    fake_classes[2].creation = STACK(MAIN_START + 0x11, MAIN_START + 0x22);
    fake_classes[3].creation = STACK(MAIN_START + 0x33);
    fake_classes[4].creation = STACK(MAIN_START + 0x44);
    const char *expected[] = {NULL, "orders", "orders.c:120", "only_a_name", "0x400043", "unnamed"};
    for (uint32_t class = 0; class < 6; class ++) {
        Profile *profile = one_group((struct snapshot_group){
            .reason = TASKPROF_CHAN_SEND, .channel_class = class, .count = 1});
        assert_label(profile, profile->sample[0], "channel", expected[class]);
        free_profile(profile);
    }
}

static void a_creator_is_the_first_function_that_is_not_taskprofs(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"taskprof_pthread_create", "/src/thread.c", 50, 1});
    SYMBOL(MAIN_START + 0x22, {"taskprof_inlined", "/src/x.h", 1, 1}, {"serve", "/src/s.c", 2, 1});
    SYMBOL(LIBC_START + 0x11, {"pthread_create", "", 0, 0});
    const struct {
        stack_id creation;
        const char *text;
    } cases[] = {
        {STACK(MAIN_START + 0x11, MAIN_START + 0x22), "serve"},
        {STACK(LIBC_START + 0x11, MAIN_START + 0x22), "serve"},
        {STACK(MAIN_START + 0x11, MAIN_START + 0x44), "0x400043"},
        {STACK(MAIN_START + 0x11), NULL},
        {0, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Profile *profile =
            one_group((struct snapshot_group){.creation = cases[i].creation, .count = 1});
        assert_label(profile, profile->sample[0], "created_by", cases[i].text);
        free_profile(profile);
    }
}

static void text_that_is_not_utf8_is_mended(void **state)
{
    (void)state;
    const struct {
        const char *name;
        const char *mended;
    } cases[] = {
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"cut\xe2\x82", "cut??"},
        {"\xff\xc0\x80", "???"},
        {"\xed\xa0\x80", "???"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xe0\x80\xaf", "???"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        name_class(1, cases[i].name);
        Profile *profile = one_group((struct snapshot_group){.channel_class = 1, .count = 1});
        assert_label(profile, profile->sample[0], "channel", cases[i].mended);
        free_profile(profile);
    }
}

static const Sample *sample_of(const Profile *profile, const char *function_name)
{
    for (size_t i = 0; i < profile->n_sample; i++)
        if (strcmp(function(profile, profile->sample[i], 0, 0), function_name) == 0)
            return profile->sample[i];
    return NULL;
}

static void a_delta_subtracts_group_by_group(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"grew", "", 0, 0});
    SYMBOL(MAIN_START + 0x22, {"shrank", "", 0, 0});
    SYMBOL(MAIN_START + 0x33, {"same", "", 0, 0});
    SYMBOL(MAIN_START + 0x44, {"ended", "", 0, 0});
    SYMBOL(MAIN_START + 0x55, {"waits_on", "", 0, 0});
    stack_id grew = STACK(MAIN_START + 0x11);
    stack_id shrank = STACK(MAIN_START + 0x22);
    stack_id same = STACK(MAIN_START + 0x33);
    stack_id ended = STACK(MAIN_START + 0x44);
    stack_id waits_on = STACK(MAIN_START + 0x55);
    struct snapshot_group earlier[] = {
        {.stack = ended, .count = 4, .wait_sum_ns = 40},
        {.stack = shrank, .count = 9, .wait_sum_ns = 90},
        {.stack = same, .count = 2, .wait_sum_ns = 0, .activity = TASK_RUNNING},
        {.stack = grew, .count = 1, .wait_sum_ns = 10},
        {.stack = waits_on, .count = 1, .wait_sum_ns = 10},
    };
    struct snapshot_group later[] = {
        {.stack = grew, .count = 6, .wait_sum_ns = 1000},
        {.stack = shrank, .count = 3, .wait_sum_ns = 30},
        {.stack = same, .count = 2, .wait_sum_ns = 0, .activity = TASK_RUNNING},
        {.stack = waits_on, .count = 1, .wait_sum_ns = 15},
    };
    struct snapshot before = fake_snapshot(earlier, 5);
    struct snapshot now = fake_snapshot(later, 4);
    before.monotonic_ns -= 3000000000;
    now.time_ns += 5;
    Profile *profile = goroutine(&now, &before);
    assert_int_equal(profile->time_nanos, 1700000000123456794);
    assert_int_equal(profile->duration_nanos, 3000000000);
    assert_int_equal(profile->n_sample, 4);
    assert_int_equal(sample_of(profile, "grew")->value[0], 5);
    assert_int_equal(sample_of(profile, "grew")->value[1], 990);
    assert_int_equal(sample_of(profile, "shrank")->value[0], -6);
    assert_int_equal(sample_of(profile, "shrank")->value[1], -60);
    assert_int_equal(sample_of(profile, "ended")->value[0], -4);
    assert_int_equal(sample_of(profile, "waits_on")->value[0], 0);
    assert_int_equal(sample_of(profile, "waits_on")->value[1], 5);
    assert_null(sample_of(profile, "same"));
    // Nor does a location of the dropped group remain.
    assert_int_equal(profile->n_location, 4);
    free_profile(profile);
}

static void a_delta_tells_groups_apart_by_every_part_of_their_key(void **state)
{
    (void)state;
    SYMBOL(MAIN_START + 0x11, {"leaf", "", 0, 0});
    stack_id stack = STACK(MAIN_START + 0x11);
    struct snapshot_group base = {.stack = stack, .count = 1};
    for (int part = 0; part < 7; part++) {
        struct snapshot_group other = base;
        switch (part) {
        case 0:
            other.activity = TASK_IN_SYSCALL;
            break;
        case 1:
            other.reason = TASKPROF_SLEEP;
            break;
        case 2:
            other.stack = 0;
            break;
        case 3:
            other.creation = stack;
            break;
        case 4:
            other.channel_class = 1;
            break;
        case 5:
            other.syscall = 7;
            break;
        default:
            break;
        }
        struct snapshot before = fake_snapshot(&base, 1);
        struct snapshot now = fake_snapshot(&other, 1);
        Profile *profile = goroutine(&now, &before);
        assert_int_equal(profile->n_sample, part < 6 ? 2 : 0);
        free_profile(profile);
    }
}

static void values_beyond_64_signed_bits_are_cut(void **state)
{
    (void)state;
    Profile *profile =
        one_group((struct snapshot_group){.count = UINT64_MAX, .wait_sum_ns = UINT64_MAX});
    assert_true(profile->sample[0]->value[0] == INT64_MAX);
    assert_true(profile->sample[0]->value[1] == INT64_MAX);
    free_profile(profile);
}

static void an_empty_snapshot_is_a_valid_empty_profile(void **state)
{
    (void)state;
    struct snapshot snapshot = fake_snapshot(NULL, 0);
    snapshot.mapping_count = 0;
    Profile *profile = goroutine(&snapshot, NULL);
    assert_int_equal(profile->n_sample, 0);
    assert_int_equal(profile->n_mapping, 0);
    assert_int_equal(profile->n_sample_type, 2);
    free_profile(profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_header_names_types_period_and_time, fresh_world),
        cmocka_unit_test_setup(the_comment_carries_the_snapshots_own_counts, fresh_world),
        cmocka_unit_test_setup(a_group_is_a_sample_with_count_and_wait_under_its_stack,
                               fresh_world),
        cmocka_unit_test_setup(an_address_is_that_of_the_call_not_of_the_return, fresh_world),
        cmocka_unit_test_setup(inlined_frames_are_lines_of_one_location_innermost_first,
                               fresh_world),
        cmocka_unit_test_setup(entries_of_any_length_are_whole, fresh_world),
        cmocka_unit_test_setup(addresses_and_functions_are_kept_once_and_ids_are_dense,
                               fresh_world),
        cmocka_unit_test_setup(the_main_binary_is_the_first_mapping_even_without_a_frame,
                               fresh_world),
        cmocka_unit_test_setup(a_mapping_promises_only_what_holds_for_all_its_locations,
                               fresh_world),
        cmocka_unit_test_setup(an_address_outside_all_mappings_has_none, fresh_world),
        cmocka_unit_test_setup(stacks_that_are_missing_or_end_early_say_so, fresh_world),
        cmocka_unit_test_setup(the_state_is_the_reason_or_what_the_task_does, fresh_world),
        cmocka_unit_test_setup(a_channel_is_labelled_by_name_else_by_where_it_was_made,
                               fresh_world),
        cmocka_unit_test_setup(a_creator_is_the_first_function_that_is_not_taskprofs, fresh_world),
        cmocka_unit_test_setup(text_that_is_not_utf8_is_mended, fresh_world),
        cmocka_unit_test_setup(a_delta_subtracts_group_by_group, fresh_world),
        cmocka_unit_test_setup(a_delta_tells_groups_apart_by_every_part_of_their_key, fresh_world),
        cmocka_unit_test_setup(values_beyond_64_signed_bits_are_cut, fresh_world),
        cmocka_unit_test_setup(an_empty_snapshot_is_a_valid_empty_profile, fresh_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
