// timeout-abandons-sender: the caller gives up waiting; the worker, done a moment later, can never
// hand over its result, because the channel has no room and no receiver any more.

#include "leaks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static const int64_t patience_ns = 5000000;

enum { PRICING_MS = 25 };

// Caller and worker both hold it; whoever lets go last frees it.
struct quote {
    taskprof_chan *prices;
    atomic_uint holders;
};

static struct quote *quote_new(size_t room)
{
    struct quote *quote = calloc(1, sizeof(*quote));
    if (quote && taskprof_chan_make(sizeof(int), room, "prices", &quote->prices) < 0) {
        free(quote);
        return NULL;
    }
    if (quote)
        atomic_init(&quote->holders, 2);
    return quote;
}

static void quote_free(struct quote *quote)
{
    taskprof_chan_free(quote->prices);
    free(quote);
}

static void quote_let_go(struct quote *quote)
{
    if (atomic_fetch_sub(&quote->holders, 1) == 1)
        quote_free(quote);
}

SEEN_IN_STACKS static void send_price(taskprof_chan *prices, int price)
{
    taskprof_chan_send(prices, &price);
}

static void *price_slowly(void *argument)
{
    struct quote *quote = argument;
    taskprof_task_set_name(taskprof_task_self(), "prices slowly");
    nap(PRICING_MS);
    send_price(quote->prices, 42);
    quote_let_go(quote);
    return NULL;
}

// 0 when the caller gave up, which is what this pattern is about.
static int ask_with_timeout(struct quote *quote)
{
    if (!quote)
        return -ENOMEM;
    int error = spawn(price_slowly, quote);
    if (error < 0) {
        quote_free(quote);
        return error;
    }
    int price;
    error = taskprof_chan_timed_receive(quote->prices, &price, NULL, patience_ns);
    quote_let_go(quote);
    return error == -ETIMEDOUT ? 0 : -EAGAIN;
}

static int leaky(void)
{
    return ask_with_timeout(quote_new(0)); // the leak: a send needs a receiver
}

static int fixed(void)
{
    return ask_with_timeout(
        quote_new(1)); // room for the one result, whether anyone takes it or not
}

const struct pattern pattern_timeout_abandons_sender = {
    .name = "timeout-abandons-sender",
    .story = "the caller times out; the worker's send on the unbuffered channel never completes",
    .waits = "send_price",
    .reason = "chan send",
    .channel = "prices",
    .tasks = 1,
    .leaky = leaky,
    .fixed = fixed,
};
