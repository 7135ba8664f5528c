// early-return: a worker gives up on an error and forgets that somebody waits for its answer.

#include "leaks.h"

SEEN_IN_STACKS static bool wait_for_answer(taskprof_chan *answers, int *ret_answer)
{
    bool answered = false;
    taskprof_chan_receive(answers, ret_answer, &answered);
    return answered;
}

// What the worker does; it fails for want of stock.
static int count_stock(void)
{
    return -1;
}

static void *check_stock(void *argument)
{
    taskprof_chan *answers = argument;
    int stock = count_stock();
    if (stock < 0)
        return NULL; // the leak: no answer, no close
    taskprof_chan_send(answers, &stock);
    taskprof_chan_close(answers);
    return NULL;
}

static void *check_stock_fixed(void *argument)
{
    taskprof_chan *answers = argument;
    int stock = count_stock();
    if (stock >= 0)
        taskprof_chan_send(answers, &stock);
    taskprof_chan_close(answers); // on every path: who waits learns that nothing will come
    return NULL;
}

static void ask(void *(*worker)(void *))
{
    taskprof_task_set_name(taskprof_task_self(), "asks for stock");
    taskprof_chan *answers;
    if (taskprof_chan_make(sizeof(int), 0, "answers", &answers) < 0)
        return;
    int stock;
    if (spawn(worker, answers) == 0)
        wait_for_answer(answers, &stock);
    taskprof_chan_free(answers);
}

static void *ask_leaky(void *unused)
{
    ask(check_stock);
    return unused;
}

static void *ask_fixed(void *unused)
{
    ask(check_stock_fixed);
    return unused;
}

static int leaky(void)
{
    return spawn(ask_leaky, NULL);
}

static int fixed(void)
{
    return spawn(ask_fixed, NULL);
}

const struct pattern pattern_early_return = {
    .name = "early-return",
    .story = "a worker returns on an error without an answer; the asker waits for ever",
    .waits = "wait_for_answer",
    .reason = "chan receive",
    .channel = "answers",
    .tasks = 1,
    .leaky = leaky,
    .fixed = fixed,
};
