// A channel blocks a coroutine, not the thread that it runs on. With a toy scheduler on ucontext.

#include "profiler/tasks/task.h"
#include "tests/unit/chan_helpers.h"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK_SIZE = 256 * 1024, FIBERS_MAX = 8 };

struct fiber {
    ucontext_t context;
    void (*main)(struct fiber *self);
    taskprof_task *task;
    _Atomic bool woken;
    _Atomic bool in_wake; // a wake of this one has not returned yet
    bool parked;
    bool done;
    int64_t deadline_ns; // of a park with a timeout; 0: none
    taskprof_chan *in;
    taskprof_chan *out;
    int64_t count;
    int64_t sum;
    int result;
    unsigned parks;
    void *tsan; // ThreadSanitizer's own idea of it
    _Alignas(16) char stack[STACK_SIZE];
};

static struct fiber fibers[FIBERS_MAX];
static unsigned fiber_count;
static struct fiber *running; // NULL: the scheduler
static ucontext_t scheduler_context;
#if defined(__SANITIZE_THREAD__)
static void *scheduler_tsan;
#endif

// How the toy behaves.
static int park_error;     // returned by park instead of suspending
static unsigned spurious;  // parks that return at once for no reason
static bool wake_switches; // wake runs the woken one before it returns

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Goes from whoever runs to `to`; NULL: to the scheduler.
static void switch_to(struct fiber *to)
{
    struct fiber *from = running;
    running = to;
    taskprof_task_switch(to ? to->task : NULL);
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(to ? to->tsan : scheduler_tsan, 0);
#endif
    swapcontext(from ? &from->context : &scheduler_context, to ? &to->context : &scheduler_context);
}

static int toy_park(void *context, int64_t timeout_ns)
{
    struct fiber *self = context;
    assert_ptr_equal(running, self);
    self->parks++;
    if (park_error)
        return park_error;
    if (spurious > 0) {
        spurious--;
        return 0;
    }
    if (!atomic_load(&self->woken)) {
        self->deadline_ns = timeout_ns < 0 ? 0 : now_ns() + timeout_ns;
        self->parked = true;
        switch_to(NULL);
        self->parked = false;
    }
    atomic_store(&self->woken, false);
    return 0;
}

static void toy_wake(void *context)
{
    struct fiber *fiber = context;
    atomic_store(&fiber->in_wake, true);
    atomic_store(&fiber->woken, true);
    if (wake_switches && running && running != fiber && fiber->parked)
        switch_to(fiber);
    atomic_store(&fiber->in_wake, false);
}

static const struct taskprof_scheduler toy = {.park = toy_park, .wake = toy_wake};

static void fiber_start(void)
{
    struct fiber *self = running;
    self->main(self);
    self->done = true;
    switch_to(NULL);
}

static struct fiber *spawn(void (*main)(struct fiber *), taskprof_chan *in, taskprof_chan *out,
                           int64_t count)
{
    assert_true(fiber_count < FIBERS_MAX);
    struct fiber *fiber = &fibers[fiber_count++];
    memset(fiber, 0, offsetof(struct fiber, stack));
    fiber->main = main;
    fiber->in = in;
    fiber->out = out;
    fiber->count = count;
    struct taskprof_coroutine coroutine = {.size = sizeof(coroutine),
                                           .name = "toy",
                                           .stack_low = fiber->stack,
                                           .stack_size = STACK_SIZE,
                                           .scheduler = &toy,
                                           .context = fiber};
    assert_int_equal(taskprof_coroutine_begin(&coroutine, &fiber->task), 0);
    getcontext(&fiber->context);
    fiber->context.uc_stack = (stack_t){.ss_sp = fiber->stack, .ss_size = STACK_SIZE};
    makecontext(&fiber->context, fiber_start, 0);
#if defined(__SANITIZE_THREAD__)
    scheduler_tsan = __tsan_get_current_fiber();
    fiber->tsan = __tsan_create_fiber(0);
#endif
    return fiber;
}

static bool can_run(const struct fiber *fiber)
{
    if (fiber->done)
        return false;
    return !fiber->parked || atomic_load(&fiber->woken) ||
           (fiber->deadline_ns && now_ns() >= fiber->deadline_ns);
}

// Runs each one that can run, once. Whether there was any.
static bool run_once(void)
{
    bool ran = false;
    for (unsigned i = 0; i < fiber_count; i++) {
        if (!can_run(&fibers[i]))
            continue;
        ran = true;
        switch_to(&fibers[i]);
    }
    return ran;
}

static bool all_done(void)
{
    run_once();
    for (unsigned i = 0; i < fiber_count; i++) {
        if (!fibers[i].done)
            return false;
    }
    return true;
}

static int set_up(void **state)
{
    (void)state;
    fiber_count = 0;
    running = NULL;
    park_error = 0;
    spurious = 0;
    wake_switches = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < fiber_count; i++) {
        assert_true(fibers[i].done);
        assert_int_equal(taskprof_coroutine_end(fibers[i].task), 0);
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(fibers[i].tsan);
#endif
    }
    return 0;
}

static void produce(struct fiber *self)
{
    for (int64_t i = 1; i <= self->count; i++)
        self->result |= taskprof_chan_send(self->out, &i);
}

static void consume(struct fiber *self)
{
    for (int64_t i = 1; i <= self->count; i++) {
        int64_t value = 0;
        self->result |= taskprof_chan_receive(self->in, &value, NULL);
        // The coroutine could end now, and take its context with it.
        self->result |= atomic_load(&self->in_wake);
        self->sum += value;
    }
}

static void consume_by_select(struct fiber *self)
{
    for (int64_t i = 1; i <= self->count; i++) {
        int64_t value = 0;
        struct taskprof_case cases[] = {{.channel = self->in, .element = &value},
                                        {.channel = self->out, .element = &value}};
        unsigned chosen;
        self->result |= taskprof_select(cases, 2, TASKPROF_FOREVER, &chosen);
        self->sum += value;
    }
}

enum { COUNT = 1000, SUM = COUNT * (COUNT + 1) / 2, SUM_OF_ALL = 3 * SUM };

static void exchange(void (*consumer_main)(struct fiber *))
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), capacity);
        taskprof_chan *other = make_chan(sizeof(int64_t), capacity);
        struct fiber *consumer = spawn(consumer_main, channel, other, COUNT);
        struct fiber *producer = spawn(produce, NULL, channel, COUNT);
        eventually(all_done());
        assert_int_equal(producer->result, 0);
        assert_int_equal(consumer->result, 0);
        assert_int_equal(consumer->sum, SUM);
        assert_true(consumer->parks > 0);
        assert_int_equal(taskprof_chan_free(channel), 0);
        assert_int_equal(taskprof_chan_free(other), 0);
    }
}

static void coroutines_of_one_thread_exchange_elements(void **state)
{
    (void)state;
    exchange(consume);
}

static void coroutines_of_one_thread_exchange_by_select(void **state)
{
    (void)state;
    exchange(consume_by_select);
}

static void a_scheduler_may_return_for_no_reason(void **state)
{
    (void)state;
    spurious = COUNT;
    exchange(consume);
    assert_int_equal(spurious, 0);
}

static void a_scheduler_may_switch_inside_wake(void **state)
{
    (void)state;
    wake_switches = true;
    exchange(consume);
}

static void a_blocked_coroutine_is_parked_on_its_channel(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct fiber *consumer = spawn(consume, channel, NULL, 1);
    assert_true(run_once());
    assert_false(run_once());
    struct park_record record;
    assert_true(park_read(consumer->task, &record));
    assert_int_equal(record.reason, TASKPROF_CHAN_RECEIVE);
    assert_int_equal(record.object, (uintptr_t)channel);
    assert_true(task_owns_stack(consumer->task, record.regs.sp));
    // The thread goes on, and is not parked.
    assert_false(park_read(taskprof_task_self(), &record));
    assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){6}), 0);
    eventually(all_done());
    assert_false(park_read(consumer->task, &record));
    assert_int_equal(consumer->sum, 6);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void receive_for_a_while(struct fiber *self)
{
    int64_t value;
    self->result = taskprof_chan_timed_receive(self->in, &value, NULL, 2000000);
}

static void a_coroutine_gives_up_when_its_time_is_over(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct fiber *waiting = spawn(receive_for_a_while, channel, NULL, 0);
    struct fiber *on_nil = spawn(receive_for_a_while, NULL, NULL, 0);
    eventually(all_done());
    assert_int_equal(waiting->result, -ETIMEDOUT);
    assert_int_equal(on_nil->result, -ETIMEDOUT);
    assert_int_equal(taskprof_chan_try_send(channel, &(int64_t){1}), -EAGAIN);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void a_scheduler_that_can_not_suspend_fails_the_operation(void **state)
{
    (void)state;
    park_error = -EDEADLK;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    struct fiber *receiver = spawn(consume, channel, NULL, 1);
    struct fiber *sender = spawn(produce, NULL, channel, 1);
    struct fiber *selecting = spawn(consume_by_select, channel, NULL, 1);
    eventually(all_done());
    assert_int_equal(receiver->result, -EDEADLK);
    assert_int_equal(sender->result, -EDEADLK);
    assert_int_equal(selecting->result, -EDEADLK);
    int64_t value;
    assert_int_equal(taskprof_chan_try_send(channel, &value), -EAGAIN);
    assert_int_equal(taskprof_chan_try_receive(channel, &value, NULL), -EAGAIN);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void drain(struct fiber *self)
{
    bool ok = true;
    while (ok) {
        int64_t value;
        self->result |= taskprof_chan_receive(self->in, &value, &ok);
        self->sum += value;
    }
}

static void close_lets_every_coroutine_go_on(void **state)
{
    (void)state;
    taskprof_chan *channel = make_chan(sizeof(int64_t), 0);
    for (int i = 0; i < FIBERS_MAX; i++)
        spawn(drain, channel, NULL, 0);
    assert_true(run_once());
    assert_false(run_once());
    assert_int_equal(taskprof_chan_close(channel), 0);
    eventually(all_done());
    for (int i = 0; i < FIBERS_MAX; i++)
        assert_int_equal(fibers[i].result, 0);
    assert_int_equal(taskprof_chan_free(channel), 0);
}

static void *produce_on_a_thread(void *channel)
{
    for (int64_t i = 1; i <= COUNT; i++) {
        if (taskprof_chan_send(channel, &i) != 0)
            return channel;
    }
    return NULL;
}

static void coroutines_and_threads_share_a_channel(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        taskprof_chan *channel = make_chan(sizeof(int64_t), capacity);
        fiber_count = 0;
        struct fiber *drains[3];
        for (int i = 0; i < 3; i++)
            drains[i] = spawn(drain, channel, NULL, 0);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, produce_on_a_thread, channel), 0);
        struct fiber *producer = spawn(produce, NULL, channel, COUNT);
        while (!producer->done)
            run_once();
        int64_t sum = 0;
        while (sum < SUM_OF_ALL) {
            run_once();
            sum = drains[0]->sum + drains[1]->sum + drains[2]->sum;
        }
        for (int i = 0; i < 2; i++) {
            void *result;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            assert_null(result);
        }
        assert_int_equal(taskprof_chan_close(channel), 0);
        eventually(all_done());
        assert_int_equal(drains[0]->sum + drains[1]->sum + drains[2]->sum, SUM_OF_ALL);
        assert_int_equal(taskprof_chan_free(channel), 0);
        if (capacity < 2)
            tear_down(NULL);
    }
}

#define coroutine_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        coroutine_test(coroutines_of_one_thread_exchange_elements),
        coroutine_test(coroutines_of_one_thread_exchange_by_select),
        coroutine_test(a_scheduler_may_return_for_no_reason),
        coroutine_test(a_scheduler_may_switch_inside_wake),
        coroutine_test(a_blocked_coroutine_is_parked_on_its_channel),
        coroutine_test(a_coroutine_gives_up_when_its_time_is_over),
        coroutine_test(a_scheduler_that_can_not_suspend_fails_the_operation),
        coroutine_test(close_lets_every_coroutine_go_on),
        coroutine_test(coroutines_and_threads_share_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
