// Throughput of a buffered taskprof_chan beside that of GLib's GAsyncQueue, in turns.
//
//     channels SENDERS RECEIVERS MESSAGES RUNS

#include "bench/bench.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <taskprof/taskprof.h>

enum { CAPACITY = 1024, THREADS_MAX = 64, CHECKED = 20000 };

static taskprof_chan *channel;
static GAsyncQueue *queue;

static void chan_put(void *message)
{
    if (taskprof_chan_send(channel, &message) < 0)
        bench_fail("a send failed");
}

static void *chan_get(void)
{
    void *message;
    if (taskprof_chan_receive(channel, &message, NULL) < 0)
        bench_fail("a receive failed");
    return message;
}

static void glib_put(void *message)
{
    g_async_queue_push(queue, message);
}

static void *glib_get(void)
{
    return g_async_queue_pop(queue);
}

static const struct kind {
    const char *key;
    void (*put)(void *message);
    void *(*get)(void);
} kinds[] = {{"chan_per_s", chan_put, chan_get}, {"glib_per_s", glib_put, glib_get}};

static struct {
    pthread_barrier_t begin;
    const struct kind *kind;
    uint64_t each_sends;
    uint64_t each_receives;
    _Atomic uint64_t sum;
} work;

static void *sender(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&work.begin);
    for (uint64_t i = 1; i <= work.each_sends; i++)
        work.kind->put((void *)(uintptr_t)i); // NULL is no message of GLib's
    return NULL;
}

static void *receiver(void *unused)
{
    (void)unused;
    uint64_t sum = 0;
    pthread_barrier_wait(&work.begin);
    for (uint64_t i = 0; i < work.each_receives; i++)
        sum += (uintptr_t)work.kind->get();
    atomic_fetch_add(&work.sum, sum);
    return NULL;
}

// The same, with messages that tell whose they are and which: each must arrive once, and those of
// one sender in order, as far as one receiver sees them.
static _Atomic uint64_t arrived[THREADS_MAX];

static void *check_sender(void *number)
{
    pthread_barrier_wait(&work.begin);
    for (uint64_t i = 1; i <= work.each_sends; i++)
        work.kind->put((void *)((uintptr_t)number << 32 | i));
    return NULL;
}

static void *check_receiver(void *unused)
{
    (void)unused;
    uint64_t last[THREADS_MAX] = {0};
    pthread_barrier_wait(&work.begin);
    for (uint64_t i = 0; i < work.each_receives; i++) {
        uintptr_t message = (uintptr_t)work.kind->get();
        uint64_t from = message >> 32;
        uint64_t number = (uint32_t)message;
        if (from >= THREADS_MAX || number <= last[from])
            bench_fail("%s: a message came out of its order, or twice", work.kind->key);
        last[from] = number;
        atomic_fetch_add(&arrived[from], number);
    }
    return NULL;
}

// How long it took, in seconds.
static double meet(size_t senders, size_t receivers, void *(*send)(void *),
                   void *(*receive)(void *))
{
    pthread_t threads[THREADS_MAX];
    size_t count = senders + receivers;
    if (pthread_barrier_init(&work.begin, NULL, (unsigned)count + 1) != 0)
        bench_fail("no barrier");
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, i < senders ? send : receive, (void *)i) != 0)
            bench_fail("no thread");
    pthread_barrier_wait(&work.begin);
    uint64_t start = clock_monotonic_ns();
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    pthread_barrier_destroy(&work.begin);
    return seconds;
}

static uint64_t sum_to(uint64_t number)
{
    return number * (number + 1) / 2;
}

static void check(const struct kind *kind, size_t senders, size_t receivers)
{
    work.kind = kind;
    work.each_sends = CHECKED * receivers;
    work.each_receives = CHECKED * senders;
    for (size_t i = 0; i < senders; i++)
        atomic_store(&arrived[i], 0);
    meet(senders, receivers, check_sender, check_receiver);
    for (size_t i = 0; i < senders; i++)
        if (atomic_load(&arrived[i]) != sum_to(work.each_sends))
            bench_fail("%s: not every message arrived", kind->key);
}

static void run(const struct kind *kind, size_t senders, size_t receivers)
{
    work.kind = kind;
    atomic_store(&work.sum, 0);
    double seconds = meet(senders, receivers, sender, receiver);
    if (atomic_load(&work.sum) != senders * sum_to(work.each_sends))
        bench_fail("%s: what was received is not what was sent", kind->key);
    bench_say(kind->key, (double)(work.each_receives * receivers) / seconds);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_fail("usage: channels SENDERS RECEIVERS MESSAGES RUNS");
    size_t senders = bench_count(argv[1]);
    size_t receivers = bench_count(argv[2]);
    size_t messages = bench_count(argv[3]);
    size_t runs = bench_count(argv[4]);
    if (senders > THREADS_MAX / 2 || receivers > THREADS_MAX / 2 || messages % senders ||
        messages % receivers)
        bench_fail("the messages must be a multiple of the senders and of the receivers");
    queue = g_async_queue_new();
    if (taskprof_chan_make(sizeof(void *), CAPACITY, "messages", &channel) < 0)
        bench_fail("no memory for a channel");
    check(&kinds[0], senders, receivers);
    check(&kinds[1], senders, receivers);
    work.each_sends = messages / senders;
    work.each_receives = messages / receivers;
    for (size_t i = 0; i < runs; i++) {
        run(&kinds[i % 2], senders, receivers);
        run(&kinds[1 - i % 2], senders, receivers);
    }
    return 0;
}
