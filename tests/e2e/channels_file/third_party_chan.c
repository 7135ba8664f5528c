// A channel of the usual kind, and a program on it, by somebody who knows nothing of taskprof: a
// ring buffer behind a pointer, a mutex, two condition variables, a closed flag.
//
// Prints "READY" and waits until its stdin ends;
// then it lets all of them go and joins them.

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    int size;
    int next;
    int capacity;
    void **data;
} queue_t;

typedef struct chan {
    queue_t *queue;
    pthread_mutex_t mutex;
    pthread_cond_t r_cond;
    pthread_cond_t w_cond;
    bool closed;
    const char *label;
} chan_t;

static chan_t *chan_new(const char *label, int capacity)
{
    chan_t *chan = calloc(1, sizeof(*chan));
    chan->queue = calloc(1, sizeof(*chan->queue));
    chan->queue->data = calloc((size_t)capacity, sizeof(void *));
    chan->queue->capacity = capacity;
    chan->label = label;
    pthread_mutex_init(&chan->mutex, NULL);
    pthread_cond_init(&chan->r_cond, NULL);
    pthread_cond_init(&chan->w_cond, NULL);
    return chan;
}

__attribute__((noinline)) static int chan_send(chan_t *chan, void *value)
{
    pthread_mutex_lock(&chan->mutex);
    while (!chan->closed && chan->queue->size == chan->queue->capacity)
        pthread_cond_wait(&chan->w_cond, &chan->mutex);
    int result = chan->closed ? -1 : 0;
    if (!chan->closed) {
        queue_t *queue = chan->queue;
        queue->data[(queue->next + queue->size++) % queue->capacity] = value;
        pthread_cond_signal(&chan->r_cond);
    }
    pthread_mutex_unlock(&chan->mutex);
    return result;
}

__attribute__((noinline)) static int chan_recv(chan_t *chan, void **value)
{
    pthread_mutex_lock(&chan->mutex);
    while (!chan->closed && chan->queue->size == 0)
        pthread_cond_wait(&chan->r_cond, &chan->mutex);
    int result = -1;
    if (chan->queue->size) {
        queue_t *queue = chan->queue;
        *value = queue->data[queue->next];
        queue->next = (queue->next + 1) % queue->capacity;
        queue->size--;
        pthread_cond_signal(&chan->w_cond);
        result = 0;
    }
    pthread_mutex_unlock(&chan->mutex);
    return result;
}

static void chan_close(chan_t *chan)
{
    pthread_mutex_lock(&chan->mutex);
    chan->closed = true;
    pthread_cond_broadcast(&chan->r_cond);
    pthread_cond_broadcast(&chan->w_cond);
    pthread_mutex_unlock(&chan->mutex);
}

// What is no channel: a gate that opens once. Its condition variable stands as far in as a
// channel's r_cond, behind what could be a length, too.
typedef struct {
    queue_t *nothing;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_cond_t spare;
    bool open;
    const char *label;
} gate_t;

static void gate_init(gate_t *gate)
{
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->cond, NULL);
}

static void gate_open(gate_t *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->cond);
    pthread_mutex_unlock(&gate->mutex);
}

__attribute__((noinline)) static void gate_wait(gate_t *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open)
        pthread_cond_wait(&gate->cond, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static chan_t *empty_chan;
static chan_t *full_chan;
static chan_t static_chan = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .r_cond = PTHREAD_COND_INITIALIZER,
    .w_cond = PTHREAD_COND_INITIALIZER,
    .label = "of static storage",
};
static gate_t *heap_gate;
static gate_t static_gate = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .cond = PTHREAD_COND_INITIALIZER,
};
static struct {
    void *nothing;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_cond_t spare;
    bool open;
    const char *label;
} bare = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

__attribute__((noinline)) static void *receiver(void *argument)
{
    void *value;
    while (chan_recv(argument, &value) == 0)
        ;
    return NULL;
}

__attribute__((noinline)) static void *sender(void *argument)
{
    while (chan_send(argument, argument) == 0)
        ;
    return NULL;
}

// Both wait on a gate while they have a channel in hand.
__attribute__((noinline)) static int late_receive(chan_t *chan, gate_t *gate)
{
    void *value;
    gate_wait(gate);
    return chan_recv(chan, &value);
}

__attribute__((noinline)) static int late_send(chan_t *chan, void *value)
{
    pthread_mutex_lock(&bare.mutex);
    while (!bare.open)
        pthread_cond_wait(&bare.cond, &bare.mutex);
    pthread_mutex_unlock(&bare.mutex);
    return chan_send(chan, value);
}

__attribute__((noinline)) static int same_function(chan_t *chan, gate_t *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open)
        pthread_cond_wait(&gate->cond, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return chan->closed;
}

static void *on_heap_gate(void *argument)
{
    late_receive(argument, heap_gate);
    return NULL;
}

static void *on_static_gate(void *argument)
{
    late_receive(argument, &static_gate);
    return NULL;
}

static void *on_bare_cond(void *argument)
{
    // The compiler is not to know it: the function then holds it while it waits.
    void *volatile value = &bare;
    late_send(argument, value);
    return NULL;
}

static void *on_gate_directly(void *argument)
{
    same_function(argument, heap_gate);
    return NULL;
}

int main(void)
{
    enum { THREADS = 9 };
    static void *(*const functions[THREADS])(void *) = {
        receiver,     receiver,       receiver,     sender,           sender,
        on_heap_gate, on_static_gate, on_bare_cond, on_gate_directly,
    };
    pthread_t threads[THREADS];
    empty_chan = chan_new("requests", 16);
    full_chan = chan_new("replies", 4);
    static_chan.queue = calloc(1, sizeof(queue_t));
    static_chan.queue->capacity = 8;
    static_chan.queue->data = calloc(8, sizeof(void *));
    heap_gate = calloc(1, sizeof(*heap_gate));
    gate_init(heap_gate);
    for (int i = 0; i < THREADS; i++) {
        chan_t *chan = functions[i] == sender ? full_chan : i == 2 ? &static_chan : empty_chan;
        if (pthread_create(&threads[i], NULL, functions[i], chan) != 0)
            return 1;
    }
    printf("READY\n");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    gate_open(heap_gate);
    gate_open(&static_gate);
    pthread_mutex_lock(&bare.mutex);
    bare.open = true;
    pthread_cond_broadcast(&bare.cond);
    pthread_mutex_unlock(&bare.mutex);
    chan_close(empty_chan);
    chan_close(full_chan);
    chan_close(&static_chan);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
