// A ticket has passed when everybody is gone who was in a section, or had a hold, before it was
// drawn: across nested sections, signal handlers, threads and forks.

#include "profiler/base/epoch.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_ticket_passes_at_once_when_nobody_looks(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t ticket = epoch_retire();
        assert_true(epoch_passed(ticket));
        assert_true(epoch_sections_passed(ticket));
        assert_true(epoch_passed(ticket)); // and stays so
    }
}

static void a_section_of_before_keeps_a_ticket_and_one_of_later_does_not(void **state)
{
    (void)state;
    uint64_t before = epoch_enter();
    uint64_t ticket = epoch_retire();
    assert_false(epoch_passed(ticket));
    assert_false(epoch_sections_passed(ticket));
    assert_false(epoch_passed(ticket));
    epoch_leave(before);
    assert_true(epoch_passed(ticket));
    uint64_t later = epoch_enter();
    assert_true(epoch_passed(ticket));
    assert_false(epoch_passed(epoch_retire()));
    epoch_leave(later);
}

static void of_nested_sections_the_outermost_counts(void **state)
{
    (void)state;
    uint64_t outer = epoch_enter();
    uint64_t first = epoch_retire();
    uint64_t inner = epoch_enter();
    uint64_t second = epoch_retire();
    assert_false(epoch_passed(first));
    epoch_leave(inner);
    assert_false(epoch_passed(first));
    assert_false(epoch_passed(second));
    inner = epoch_enter();
    epoch_leave(inner);
    assert_false(epoch_passed(first));
    epoch_leave(outer);
    assert_true(epoch_passed(first));
    assert_true(epoch_passed(second));
}

static void sections_may_end_in_any_order(void **state)
{
    (void)state;
    uint64_t first = epoch_enter();
    uint64_t ticket = epoch_retire();
    assert_false(epoch_passed(ticket)); // an epoch later, perhaps
    uint64_t second = epoch_enter();
    epoch_leave(first);
    // What the second may have seen is gone only with it; what was taken out before it began may
    // go earlier, and does so at the latest then.
    uint64_t later = epoch_retire();
    assert_false(epoch_passed(later));
    epoch_leave(second);
    assert_true(epoch_passed(ticket));
    assert_true(epoch_passed(later));
}

static void a_hold_keeps_tickets_but_not_those_of_sections_alone(void **state)
{
    (void)state;
    struct epoch_hold hold = {0};
    epoch_hold(&hold);
    uint64_t ticket = epoch_retire();
    for (int i = 0; i < 10; i++) {
        assert_false(epoch_passed(ticket));
        assert_true(epoch_sections_passed(ticket));
    }
    epoch_release(&hold);
    assert_true(epoch_passed(ticket));
}

static void a_hold_that_begins_later_keeps_nothing_of_before(void **state)
{
    (void)state;
    struct epoch_hold early = {0};
    struct epoch_hold late = {0};
    epoch_hold(&early);
    uint64_t ticket = epoch_retire();
    assert_false(epoch_passed(ticket)); // time goes on
    epoch_hold(&late);
    assert_false(epoch_passed(ticket));
    uint64_t second = epoch_retire();
    epoch_release(&early);
    assert_true(epoch_passed(ticket));
    assert_false(epoch_passed(second));
    epoch_release(&late);
    assert_true(epoch_passed(second));
}

static void a_hold_that_is_not_held_may_be_released_and_one_is_released_once(void **state)
{
    (void)state;
    struct epoch_hold never = {0};
    struct epoch_hold holds[3] = {{0}};
    epoch_release(&never);
    for (int i = 0; i < 3; i++)
        epoch_hold(&holds[i]);
    uint64_t ticket = epoch_retire();
    epoch_release(&holds[1]); // from the middle
    epoch_release(&holds[1]);
    epoch_release(&never);
    assert_false(epoch_passed(ticket));
    epoch_release(&holds[2]);
    epoch_release(&holds[2]);
    assert_false(epoch_passed(ticket));
    epoch_release(&holds[0]);
    assert_true(epoch_passed(ticket));
    epoch_hold(&holds[1]); // and held again
    ticket = epoch_retire();
    assert_false(epoch_passed(ticket));
    epoch_release(&holds[1]);
    assert_true(epoch_passed(ticket));
}

static volatile sig_atomic_t handled;
static bool handler_kept;
static bool handler_kept_after;

static void enter_in_handler(int signal)
{
    (void)signal;
    uint64_t section = epoch_enter();
    uint64_t ticket = epoch_retire();
    handler_kept = !epoch_sections_passed(ticket);
    epoch_leave(section);
    handler_kept_after = !epoch_sections_passed(ticket);
    handled++;
}

static void count_in_handler(int signal)
{
    (void)signal;
    uint64_t section = epoch_enter();
    handled++;
    epoch_leave(section);
}

static void on_signal(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void a_section_in_a_signal_handler_is_one_like_others(void **state)
{
    (void)state;
    on_signal(SIGUSR1, enter_in_handler);
    handled = 0;
    raise(SIGUSR1);
    assert_int_equal(handled, 1);
    assert_true(handler_kept);
    assert_false(handler_kept_after);
    // Within a section of what it interrupts.
    uint64_t outer = epoch_enter();
    uint64_t ticket = epoch_retire();
    raise(SIGUSR1);
    assert_int_equal(handled, 2);
    assert_true(handler_kept);
    assert_true(handler_kept_after);
    assert_false(epoch_passed(ticket));
    epoch_leave(outer);
    assert_true(epoch_passed(ticket));
}

static _Atomic bool over;

static void *signal_until_over(void *argument)
{
    while (!atomic_load(&over)) {
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

static void sections_that_are_interrupted_anywhere_are_counted_right(void **state)
{
    (void)state;
    enum { HANDLED = 2000 };
    pthread_t self = pthread_self();
    pthread_t thread;
    on_signal(SIGUSR1, count_in_handler);
    handled = 0;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, signal_until_over, &self), 0);
    while (handled < HANDLED) {
        uint64_t section = epoch_enter();
        uint64_t ticket = epoch_retire();
        bool kept = !epoch_sections_passed(ticket);
        epoch_leave(section);
        assert_true(kept);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    assert_true(epoch_passed(epoch_retire()));
}

// An object of a table with one entry: a thread exchanges it, and poisons the old one when its
// ticket has passed.
enum { READERS = 3, OBJECTS = 64, EXCHANGES = 3000, GOOD = 0x600d, POISON = 0xdead };
struct object {
    _Atomic unsigned first;
    _Atomic unsigned second;
};
static struct object objects[OBJECTS];
static _Atomic(struct object *) shared;
static _Atomic uint64_t poison_seen;
static _Atomic uint64_t looks;

static bool is_good(struct object *object)
{
    return atomic_load_explicit(&object->first, memory_order_relaxed) == GOOD &&
           atomic_load_explicit(&object->second, memory_order_relaxed) == GOOD;
}

static void *look_in_sections(void *unused)
{
    while (!atomic_load(&over)) {
        uint64_t section = epoch_enter();
        struct object *object = atomic_load_explicit(&shared, memory_order_acquire);
        bool good = is_good(object);
        uint64_t inner = epoch_enter();
        good &= is_good(object);
        epoch_leave(inner);
        if (atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed) % 64 == 0)
            sched_yield(); // in the midst of one
        good &= is_good(object);
        epoch_leave(section);
        if (!good)
            atomic_fetch_add(&poison_seen, 1);
    }
    return unused;
}

static void *look_with_holds(void *unused)
{
    while (!atomic_load(&over)) {
        struct epoch_hold hold = {0};
        epoch_hold(&hold);
        struct object *object = atomic_load_explicit(&shared, memory_order_acquire);
        bool good = true;
        for (int i = 0; i < 50; i++)
            good &= is_good(object);
        sched_yield();
        good &= is_good(object);
        epoch_release(&hold);
        if (!good)
            atomic_fetch_add(&poison_seen, 1);
        atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
    }
    return unused;
}

static void paint(struct object *object, unsigned colour)
{
    atomic_store_explicit(&object->first, colour, memory_order_relaxed);
    atomic_store_explicit(&object->second, colour, memory_order_relaxed);
}

static void nobody_sees_what_was_given_back_while_he_looks(void **state)
{
    (void)state;
    pthread_t threads[READERS + 1];
    struct {
        struct object *object;
        uint64_t ticket;
    } retired[OBJECTS];
    size_t waiting = 0;
    size_t exchanged = 0;
    struct object *spare[OBJECTS];
    size_t spares = 0;
    for (size_t i = 1; i < OBJECTS; i++)
        spare[spares++] = &objects[i];
    paint(&objects[0], GOOD);
    atomic_store(&shared, &objects[0]);
    atomic_store(&over, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_in_sections, NULL), 0);
    assert_int_equal(pthread_create(&threads[READERS], NULL, look_with_holds, NULL), 0);
    eventually(atomic_load(&looks) > 100);
    while (exchanged < EXCHANGES) {
        if (spares) {
            struct object *fresh = spare[--spares];
            paint(fresh, GOOD);
            retired[waiting].object = atomic_exchange(&shared, fresh);
            retired[waiting++].ticket = epoch_retire();
            exchanged++;
        }
        size_t kept = 0;
        for (size_t i = 0; i < waiting; i++) {
            if (epoch_passed(retired[i].ticket)) {
                paint(retired[i].object, POISON);
                spare[spares++] = retired[i].object;
            } else {
                retired[kept++] = retired[i];
            }
        }
        waiting = kept;
        if (!spares)
            sched_yield();
    }
    // What is still waiting passes, however busy the readers are.
    for (size_t i = 0; i < waiting; i++)
        eventually(epoch_passed(retired[i].ticket));
    atomic_store(&over, true);
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&poison_seen), 0);
}

// The child's exit status is the number of the first check that fails.
#define CHECK(number, condition) \
    do {                         \
        if (!(condition))        \
            _exit(number);       \
    } while (0)

static void assert_child_is_content(pid_t child)
{
    int status;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_childs_tickets_pass_when_the_section_that_forked_ends(void **state)
{
    (void)state;
    uint64_t outer = epoch_enter();
    uint64_t first = epoch_retire();
    epoch_sections_passed(first); // the next one is of another epoch
    uint64_t inner = epoch_enter();
    pid_t child = fork();
    if (child == 0) {
        epoch_after_fork();
        uint64_t ticket = epoch_retire();
        CHECK(1, !epoch_passed(ticket));
        epoch_leave(inner);
        CHECK(2, !epoch_passed(ticket));
        epoch_leave(outer);
        CHECK(3, epoch_passed(ticket));
        CHECK(4, epoch_passed(first));
        uint64_t section = epoch_enter();
        ticket = epoch_retire();
        CHECK(5, !epoch_passed(ticket));
        epoch_leave(section);
        CHECK(6, epoch_passed(ticket));
        _exit(0);
    }
    // The parent's is as it was.
    assert_false(epoch_passed(first));
    epoch_leave(inner);
    assert_false(epoch_passed(first));
    epoch_leave(outer);
    assert_true(epoch_passed(first));
    assert_child_is_content(child);
}

static pthread_barrier_t barrier;

static void *stay_in_sections(void *unused)
{
    uint64_t outer = epoch_enter();
    uint64_t ticket = epoch_retire();
    epoch_sections_passed(ticket);
    uint64_t inner = epoch_enter(); // of the next epoch: it has one of either parity
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    epoch_leave(inner);
    epoch_leave(outer);
    return unused;
}

static void sections_of_other_threads_are_not_in_the_child(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, stay_in_sections, NULL), 0);
    pthread_barrier_wait(&barrier);
    uint64_t ticket = epoch_retire();
    assert_false(epoch_passed(ticket));
    uint64_t own = epoch_enter();
    pid_t child = fork();
    if (child == 0) {
        epoch_after_fork();
        CHECK(1, !epoch_passed(epoch_retire())); // there is its own
        epoch_leave(own);
        CHECK(2, epoch_passed(ticket));
        CHECK(3, epoch_passed(epoch_retire()));
        pid_t grandchild = fork();
        if (grandchild == 0) {
            epoch_after_fork();
            _exit(!epoch_passed(epoch_retire()));
        }
        int status;
        CHECK(4, waitpid(grandchild, &status, 0) == grandchild && status == 0);
        _exit(0);
    }
    assert_child_is_content(child);
    epoch_leave(own);
    assert_false(epoch_passed(ticket));
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    assert_true(epoch_passed(ticket));
    pthread_barrier_destroy(&barrier);
}

static void *hold_and_release_until_over(void *unused)
{
    while (!atomic_load(&over)) {
        struct epoch_hold hold = {0};
        uint64_t section = epoch_enter();
        epoch_hold(&hold);
        epoch_leave(section);
        epoch_release(&hold);
    }
    return unused;
}

static void holds_of_before_a_fork_are_not_in_the_child_and_may_be_released_there(void **state)
{
    (void)state;
    struct epoch_hold first = {0};
    struct epoch_hold second = {0};
    struct epoch_hold fresh[2] = {{0}};
    epoch_hold(&first);
    epoch_hold(&second);
    uint64_t ticket = epoch_retire();
    pid_t child = fork();
    if (child == 0) {
        epoch_after_fork();
        CHECK(1, epoch_passed(ticket));
        epoch_hold(&fresh[0]);
        epoch_hold(&fresh[1]);
        ticket = epoch_retire();
        epoch_release(&second);
        epoch_release(&first);
        epoch_release(&first);
        CHECK(2, !epoch_passed(ticket));
        epoch_release(&fresh[0]);
        CHECK(3, !epoch_passed(ticket));
        epoch_release(&fresh[1]);
        CHECK(4, epoch_passed(ticket));
        epoch_hold(&first); // one of before is used again
        ticket = epoch_retire();
        CHECK(5, !epoch_passed(ticket));
        epoch_release(&first);
        CHECK(6, epoch_passed(ticket));
        _exit(0);
    }
    assert_child_is_content(child);
    assert_false(epoch_passed(ticket));
    epoch_release(&first);
    assert_false(epoch_passed(ticket));
    epoch_release(&second);
    assert_true(epoch_passed(ticket));
}

static void a_child_is_free_whatever_other_threads_were_doing(void **state)
{
    (void)state;
    enum { FORKS = 100 };
    pthread_t threads[2];
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_release_until_over, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        uint64_t section = epoch_enter();
        pid_t child = fork();
        if (child == 0) {
            epoch_after_fork();
            alarm(20);
            uint64_t ticket = epoch_retire();
            CHECK(1, !epoch_passed(ticket));
            epoch_leave(section);
            CHECK(2, epoch_passed(ticket));
            struct epoch_hold hold = {0};
            epoch_hold(&hold);
            CHECK(3, !epoch_passed(epoch_retire()));
            epoch_release(&hold);
            CHECK(4, epoch_passed(epoch_retire()));
            _exit(0);
        }
        epoch_leave(section);
        assert_child_is_content(child);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(epoch_passed(epoch_retire()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_passes_at_once_when_nobody_looks),
        cmocka_unit_test(a_section_of_before_keeps_a_ticket_and_one_of_later_does_not),
        cmocka_unit_test(of_nested_sections_the_outermost_counts),
        cmocka_unit_test(sections_may_end_in_any_order),
        cmocka_unit_test(a_hold_keeps_tickets_but_not_those_of_sections_alone),
        cmocka_unit_test(a_hold_that_begins_later_keeps_nothing_of_before),
        cmocka_unit_test(a_hold_that_is_not_held_may_be_released_and_one_is_released_once),
        cmocka_unit_test(a_section_in_a_signal_handler_is_one_like_others),
        cmocka_unit_test(sections_that_are_interrupted_anywhere_are_counted_right),
        cmocka_unit_test(nobody_sees_what_was_given_back_while_he_looks),
        cmocka_unit_test(the_childs_tickets_pass_when_the_section_that_forked_ends),
        cmocka_unit_test(sections_of_other_threads_are_not_in_the_child),
        cmocka_unit_test(holds_of_before_a_fork_are_not_in_the_child_and_may_be_released_there),
        cmocka_unit_test(a_child_is_free_whatever_other_threads_were_doing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
