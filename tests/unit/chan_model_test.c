// Random operations on a few channels do what a simple model of them says.
//
// One thread, so that nothing ever waits: an operation is done at once or says that it would have
// blocked. TASKPROF_TEST_SEED repeats a run.

#include "tests/unit/chan_helpers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 4, CAPACITY_MAX = 5, STEPS = 200000, CASES_MAX = 6 };

struct model {
    taskprof_chan *channel; // NULL: none, its operations are those of a NULL channel
    size_t capacity;
    bool closed;
    size_t count;
    uint32_t elements[CAPACITY_MAX];
};

static struct model models[CHANNELS];
static uint64_t random_state;
static uint32_t next_element;

static unsigned below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 20) % limit);
}

// What an operation gives; the model goes on when it is 0.
static int expected_send(struct model *model, uint32_t element)
{
    if (model->closed)
        return -EPIPE;
    if (model->count == model->capacity)
        return -EAGAIN;
    model->elements[model->count++] = element;
    return 0;
}

static int expected_receive(struct model *model, uint32_t *ret_element, bool *ret_ok)
{
    *ret_element = 0;
    *ret_ok = false;
    if (model->count == 0)
        return model->closed ? 0 : -EAGAIN;
    *ret_ok = true;
    *ret_element = model->elements[0];
    memmove(model->elements, model->elements + 1, --model->count * sizeof(model->elements[0]));
    return 0;
}

static void step_send(struct model *model)
{
    uint32_t element = ++next_element;
    int expected = model->channel ? expected_send(model, element) : -EINVAL;
    if (model->channel && below(2))
        assert_int_equal(taskprof_chan_timed_send(model->channel, &element, 0),
                         expected == -EAGAIN ? -ETIMEDOUT : expected);
    else
        assert_int_equal(taskprof_chan_try_send(model->channel, &element), expected);
}

static void step_receive(struct model *model)
{
    uint32_t element = 0xabcdef;
    uint32_t expected_element = 0;
    bool ok = false;
    bool expected_ok = false;
    int expected = -EINVAL;
    if (model->channel)
        expected = expected_receive(model, &expected_element, &expected_ok);
    assert_int_equal(taskprof_chan_try_receive(model->channel, &element, &ok), expected);
    if (expected == 0) {
        assert_int_equal(ok, expected_ok);
        assert_int_equal(element, expected_element);
    } else {
        assert_int_equal(element, 0xabcdef);
    }
}

static bool is_ready(const struct model *model, bool send)
{
    if (!model->channel)
        return false;
    if (model->closed)
        return true;
    return send ? model->count < model->capacity : model->count > 0;
}

static void step_select(void)
{
    struct taskprof_case cases[CASES_MAX];
    struct model *of[CASES_MAX];
    uint32_t elements[CASES_MAX];
    unsigned count = below(CASES_MAX + 1);
    unsigned ready = 0;
    for (unsigned i = 0; i < count; i++) {
        of[i] = &models[below(CHANNELS)];
        elements[i] = ++next_element;
        cases[i] = (struct taskprof_case){
            .channel = of[i]->channel, .element = &elements[i], .send = below(2)};
        ready += is_ready(of[i], cases[i].send);
    }
    unsigned chosen = UINT32_MAX;
    int result = taskprof_select(cases, count, TASKPROF_DEFAULT, &chosen);
    if (ready == 0) {
        assert_int_equal(result, -EAGAIN);
        assert_int_equal(chosen, UINT32_MAX);
        return;
    }
    assert_true(chosen < count);
    assert_true(is_ready(of[chosen], cases[chosen].send));
    if (cases[chosen].send) {
        assert_int_equal(result, expected_send(of[chosen], elements[chosen]));
        return;
    }
    uint32_t element;
    bool ok;
    assert_int_equal(result, expected_receive(of[chosen], &element, &ok));
    assert_int_equal(cases[chosen].ok, ok);
    assert_int_equal(elements[chosen], element);
}

static void step_close(struct model *model)
{
    int expected = !model->channel ? -EINVAL : model->closed ? -EALREADY : 0;
    assert_int_equal(taskprof_chan_close(model->channel), expected);
    model->closed = true;
}

static void step_replace(struct model *model)
{
    assert_int_equal(taskprof_chan_free(model->channel), model->channel ? 0 : -EINVAL);
    memset(model, 0, sizeof(*model));
    if (below(4) == 0)
        return;
    model->capacity = below(CAPACITY_MAX + 1);
    model->channel = make_chan(sizeof(uint32_t), model->capacity);
}

static void step(void)
{
    struct model *model = &models[below(CHANNELS)];
    unsigned kind = below(1000);
    if (kind < 400)
        step_send(model);
    else if (kind < 700)
        step_receive(model);
    else if (kind < 980)
        step_select();
    else if (kind < 990)
        step_close(model);
    else
        step_replace(model);
    assert_int_equal(taskprof_chan_length(model->channel), model->count);
    assert_int_equal(taskprof_chan_capacity(model->channel), model->capacity);
    if (model->channel)
        assert_int_equal(taskprof_chan_is_closed(model->channel), model->closed);
}

static void random_operations_do_what_the_model_says(void **state)
{
    (void)state;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *seed = getenv("TASKPROF_TEST_SEED");
    random_state =
        seed ? strtoull(seed, NULL, 0) : (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec;
    random_state |= 1;
    print_message("TASKPROF_TEST_SEED=%llu\n", (unsigned long long)random_state);
    for (int i = 0; i < STEPS; i++)
        step();
    for (int i = 0; i < CHANNELS; i++) {
        if (models[i].channel)
            assert_int_equal(taskprof_chan_free(models[i].channel), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_do_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
