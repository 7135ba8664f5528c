// Parks nest, and end when they are left, wherever the stacks lie that they are made on: those of
// threads and coroutines, and the alternate one for signals above or below them.

#include "profiler/snapshot/proc_thread.h"
#include "profiler/snapshot/snapshot.h"
#include "profiler/tasks/self.h"
#include "tests/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <taskprof/taskprof.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK = 1 << 20, ALTERNATE = 256 << 10, FAR = 96 << 20, REGION = STACK + FAR + ALTERNATE };

// One region, so that the kernel tells no border between the two.
static const struct place {
    const char *name;
    size_t stack;
    size_t alternate;
} places[] = {
    {"right above", 0, STACK},
    {"right below", ALTERNATE, 0},
    {"far above", 0, STACK + FAR},
    {"far below", ALTERNATE + FAR, 0},
};
enum { PLACES = sizeof(places) / sizeof(places[0]) };

static char *region;

// What a scenario saw of its own task, and a snapshot of it.
static struct subject {
    void (*scenario)(void);
    void (*in_handler)(void);
    char *alternate;
    bool on_alternate; // where the handler ran
    bool parked[4];
    struct park_record outer, inside, after, next;
    _Atomic uint64_t blocked; // its task's id, as soon as it is about to block
    pid_t tid;
    sem_t leave;
    bool seen;
    enum task_activity activity;
    enum taskprof_reason reason;
    uint64_t wait_start_ns;
} subject;

static void block(void)
{
    subject.tid = gettid();
    // Release: pairs with the acquire in look; the tid comes before.
    atomic_store_explicit(&subject.blocked, taskprof_task_id(thread_self.current),
                          memory_order_release);
    while (sem_wait(&subject.leave) != 0)
        continue;
}

static void take_look(uint64_t id)
{
    struct snapshot *snapshot;
    if (snapshot_take(SNAPSHOT_TASKS, 0, &snapshot) != 0)
        return;
    for (size_t i = 0; i < snapshot->task_count; i++) {
        const struct snapshot_task *task = &snapshot->task_list[i];
        if (task->id != id)
            continue;
        subject.seen = true;
        subject.activity = (enum task_activity)snapshot->groups[task->group].activity;
        subject.reason = (enum taskprof_reason)snapshot->groups[task->group].reason;
        subject.wait_start_ns = task->wait_start_ns;
    }
    snapshot_free(snapshot);
}

static bool sleeps(void)
{
    uintptr_t sp = 0;
    int directory = proc_threads_open();
    int result = proc_thread_sp(directory, subject.tid, &sp);
    close(directory);
    return result == 0 && sp;
}

// Of a subject that blocks.
static void *look(void *unused)
{
    uint64_t id = 0;
    eventually((id = atomic_load_explicit(&subject.blocked, memory_order_acquire)));
    eventually(sleeps());
    take_look(id);
    sem_post(&subject.leave);
    return unused;
}

static void handle(int number)
{
    if (number == SIGUSR1) {
        char here;
        subject.on_alternate = (uintptr_t)&here - (uintptr_t)subject.alternate < ALTERNATE;
        subject.in_handler();
    } else {
        taskprof_park(TASKPROF_SLEEP, NULL);
        taskprof_unpark();
    }
}

// The compiler believes that raise changes nothing in this file.
static void interrupt(int number)
{
    __asm__ volatile("" ::: "memory");
    raise(number);
    __asm__ volatile("" ::: "memory");
}

static void handle_on(char *alternate)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = ALTERNATE};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    subject.alternate = alternate;
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

static void handle_nowhere(void)
{
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

// Where scenarios run.

static void *on_thread(void *alternate)
{
    taskprof_task_self();
    handle_on(alternate);
    subject.scenario();
    handle_nowhere();
    return NULL;
}

static void run_on_thread(const struct place *place)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstack(&attributes, region + place->stack, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, on_thread, region + place->alternate), 0);
    pthread_attr_destroy(&attributes);
    pthread_join(thread, NULL);
}

static ucontext_t outside, inside;
static taskprof_task *coroutine;
#if defined(__SANITIZE_THREAD__)
static void *tsan_outside, *tsan_inside;
#endif

static void switch_to(bool in)
{
    taskprof_task_switch(in ? coroutine : NULL);
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(in ? tsan_inside : tsan_outside, 0);
#endif
    swapcontext(in ? &outside : &inside, in ? &inside : &outside);
}

static void on_coroutine(void)
{
    subject.scenario();
    switch_to(false);
}

static void run_on_coroutine(const struct place *place)
{
    char *stack = region + place->stack;
    struct taskprof_coroutine description = {
        .size = sizeof(description), .stack_low = stack, .stack_size = STACK};
    assert_int_equal(taskprof_coroutine_begin(&description, &coroutine), 0);
    getcontext(&inside);
    inside.uc_stack = (stack_t){.ss_sp = stack, .ss_size = STACK};
    makecontext(&inside, on_coroutine, 0);
#if defined(__SANITIZE_THREAD__)
    tsan_outside = __tsan_get_current_fiber();
    tsan_inside = __tsan_create_fiber(0);
#endif
    handle_on(region + place->alternate);
    switch_to(true);
    handle_nowhere();
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(tsan_inside);
#endif
    assert_int_equal(taskprof_coroutine_end(coroutine), 0);
}

static void run_on_first_thread(const struct place *place)
{
    handle_on(region + place->alternate);
    subject.scenario();
    handle_nowhere();
}

// The alternate stack is an array of a function's on the same stack.
static void run_within(const struct place *unused)
{
    char array[ALTERNATE];
    (void)unused;
    array[0] = 0;
    handle_on(array);
    subject.scenario();
    handle_nowhere();
}

typedef void run_function(const struct place *place);

static void run(void (*scenario)(void), void (*in_handler)(void), run_function *run_it,
                const struct place *place)
{
    pthread_t looker;
    subject = (struct subject){.scenario = scenario, .in_handler = in_handler};
    sem_init(&subject.leave, 0, 0);
    assert_int_equal(pthread_create(&looker, NULL, look, NULL), 0);
    run_it(place);
    pthread_join(looker, NULL);
    sem_destroy(&subject.leave);
    assert_true(subject.seen);
    // Nothing is left behind.
    struct park_record record;
    assert_false(park_read(taskprof_task_self(), &record));
}

// A handler that parks while its task is in a park.

static void park_in_handler(void)
{
    taskprof_park(TASKPROF_IO_WAIT, &subject.leave);
    subject.parked[1] = park_read(thread_self.current, &subject.inside);
    interrupt(SIGUSR2);
    block();
    taskprof_unpark();
}

static void park_around_handler(void)
{
    taskprof_park(TASKPROF_COND_WAIT, &subject);
    subject.parked[0] = park_read(thread_self.current, &subject.outer);
    interrupt(SIGUSR1);
    subject.parked[2] = park_read(thread_self.current, &subject.after);
    taskprof_unpark();
    subject.parked[3] = park_read(thread_self.current, &subject.next);
}

static void assert_same_park(const struct park_record *one, const struct park_record *other)
{
    assert_int_equal(one->seq, other->seq);
    assert_int_equal(one->reason, other->reason);
    assert_int_equal(one->object, other->object);
    assert_int_equal(one->since_ns, other->since_ns);
    assert_memory_equal(&one->regs, &other->regs, sizeof(one->regs));
}

static void check_outer_was_kept(void)
{
    assert_true(subject.on_alternate);
    assert_true(subject.parked[0] && subject.parked[1] && subject.parked[2]);
    assert_false(subject.parked[3]);
    assert_int_equal(subject.outer.reason, TASKPROF_COND_WAIT);
    assert_same_park(&subject.outer, &subject.inside);
    assert_same_park(&subject.outer, &subject.after);
}

static void check_outer_was_seen(void)
{
    assert_int_equal(subject.activity, TASK_PARKED);
    assert_int_equal(subject.reason, TASKPROF_COND_WAIT);
    assert_int_equal(subject.wait_start_ns, subject.outer.since_ns);
}

static void a_handlers_park_on_another_stack_leaves_the_outer_one_as_it_was(void **state)
{
    (void)state;
    static run_function *const ways[] = {run_on_thread, run_on_coroutine, run_on_first_thread};
    for (int i = 0; i < 3 * PLACES; i++) {
        run(park_around_handler, park_in_handler, ways[i / PLACES], &places[i % PLACES]);
        check_outer_was_kept();
        check_outer_was_seen();
    }
    run(park_around_handler, park_in_handler, run_within, NULL);
    check_outer_was_kept();
}

// A handler that parks while its task is in none, and is itself interrupted.

static void run_handler(void)
{
    interrupt(SIGUSR1);
    subject.parked[3] = park_read(thread_self.current, &subject.next);
}

static void a_handlers_own_park_is_shown_when_there_is_no_outer_one(void **state)
{
    (void)state;
    static run_function *const ways[] = {run_on_thread, run_on_coroutine, run_on_first_thread};
    for (int i = 0; i < 3 * PLACES; i++) {
        run(run_handler, park_in_handler, ways[i / PLACES], &places[i % PLACES]);
        assert_true(subject.on_alternate && subject.parked[1]);
        assert_false(subject.parked[3]);
        assert_int_equal(subject.inside.reason, TASKPROF_IO_WAIT);
        assert_int_equal(subject.activity, TASK_PARKED);
        assert_int_equal(subject.reason, TASKPROF_IO_WAIT);
        assert_int_equal(subject.wait_start_ns, subject.inside.since_ns);
    }
}

// Parks that are left. Each time the task then blocks outside of any, and parks anew.

static sigjmp_buf escape;

static void escape_from_handler(void)
{
    taskprof_park(TASKPROF_IO_WAIT, &subject.leave);
    siglongjmp(escape, 1);
}

static __attribute__((noinline)) void go_on(void)
{
    block();
    taskprof_park(TASKPROF_BARRIER_WAIT, &escape);
    subject.parked[2] = park_read(thread_self.current, &subject.next);
    taskprof_unpark();
    subject.parked[3] = park_read(thread_self.current, &subject.after);
}

static void leave_handler(void)
{
    if (sigsetjmp(escape, 1) == 0)
        interrupt(SIGUSR1);
    go_on();
}

static __attribute__((noinline)) void park_deep(bool with_handler)
{
    volatile char frame[16384] = {0};
    taskprof_park(TASKPROF_COND_WAIT, &subject);
    if (with_handler)
        interrupt(SIGUSR1);
    else
        siglongjmp(escape, 1 + frame[0]);
    (void)frame[1];
}

static void leave_both(void)
{
    if (sigsetjmp(escape, 1) == 0)
        park_deep(true);
    go_on();
}

static void leave_deep(void)
{
    if (sigsetjmp(escape, 1) == 0)
        park_deep(false);
    go_on();
}

static void check_left(void (*scenario)(void))
{
    static run_function *const ways[] = {run_on_thread, run_on_first_thread, run_on_coroutine};
#if defined(__SANITIZE_ADDRESS__)
    enum { WAYS = 2 }; // it takes what longjmp left on a coroutine's stack for still in use
#else
    enum { WAYS = 3 };
#endif
    for (int i = 0; i < WAYS * PLACES; i++) {
        run(scenario, escape_from_handler, ways[i / PLACES], &places[i % PLACES]);
        assert_true(subject.parked[2]);
        assert_int_equal(subject.next.reason, TASKPROF_BARRIER_WAIT);
        assert_ptr_equal(subject.next.object, &escape);
        assert_false(subject.parked[3]);
        // Of a coroutine the kernel does not know where it is.
        if (ways[i / PLACES] != run_on_coroutine)
            assert_int_equal(subject.activity, TASK_IN_SYSCALL);
    }
}

static void a_park_that_a_handler_was_left_in_is_over(void **state)
{
    (void)state;
    check_left(leave_handler);
}

static void so_are_both_when_the_outer_one_was_left_with_it(void **state)
{
    (void)state;
    check_left(leave_both);
}

static void a_park_left_by_longjmp_is_over_on_every_stack(void **state)
{
    (void)state;
    check_left(leave_deep);
}

static int map_region(void **state)
{
    (void)state;
    region = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    return region == MAP_FAILED ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handlers_park_on_another_stack_leaves_the_outer_one_as_it_was),
        cmocka_unit_test(a_handlers_own_park_is_shown_when_there_is_no_outer_one),
        cmocka_unit_test(a_park_that_a_handler_was_left_in_is_over),
        cmocka_unit_test(so_are_both_when_the_outer_one_was_left_with_it),
        cmocka_unit_test(a_park_left_by_longjmp_is_over_on_every_stack),
    };
    return cmocka_run_group_tests(tests, map_region, NULL);
}
