// A threaded program on GLib that knows nothing of taskprof: idle thread pools, threads that pop
// from queues in each way that waits, and waits that are on no queue.
//
// Prints "READY" when all threads were started, and waits until its stdin ends; then it ends them.

#include <glib.h>
#include <stdio.h>

enum { POPPERS = 3, WORKERS = 4, THREADS = POPPERS + 4 };

static GAsyncQueue *jobs;
static GAsyncQueue *replies;
static GMutex gate_mutex;
static GCond gate_cond;
static gboolean gate_is_open;
static gint worked;

static gpointer pop(gpointer queue)
{
    while (g_async_queue_pop(queue) != queue)
        ;
    return NULL;
}

static gpointer timeout_pop(gpointer queue)
{
    while (g_async_queue_timeout_pop(queue, 600 * G_USEC_PER_SEC) != queue)
        ;
    return NULL;
}

static gpointer pop_unlocked(gpointer queue)
{
    g_async_queue_lock(queue);
    while (g_async_queue_pop_unlocked(queue) != queue)
        ;
    g_async_queue_unlock(queue);
    return NULL;
}

// A condition variable of the program's own.
static gpointer wait_at_gate(gpointer unused)
{
    g_mutex_lock(&gate_mutex);
    while (!gate_is_open)
        g_cond_wait(&gate_cond, &gate_mutex);
    g_mutex_unlock(&gate_mutex);
    return unused;
}

// One of GLib's own, which is no queue's either.
static gpointer wait_for_once(gpointer once)
{
    return GINT_TO_POINTER(g_once_init_enter((gsize *)once));
}

static void work(gpointer job, gpointer unused)
{
    (void)job;
    (void)unused;
    g_atomic_int_inc(&worked);
}

int main(void)
{
    jobs = g_async_queue_new();
    replies = g_async_queue_new();
    static gsize once;
    GThread *threads[THREADS];
    g_once_init_enter(&once);
    for (int i = 0; i < POPPERS; i++)
        threads[i] = g_thread_new("pop", pop, jobs);
    threads[POPPERS] = g_thread_new("timeout", timeout_pop, replies);
    threads[POPPERS + 1] = g_thread_new("unlocked", pop_unlocked, replies);
    threads[POPPERS + 2] = g_thread_new("gate", wait_at_gate, NULL);
    threads[POPPERS + 3] = g_thread_new("once", wait_for_once, &once);
    GThreadPool *pool = g_thread_pool_new(work, NULL, WORKERS, TRUE, NULL);
    for (int i = 1; i <= WORKERS; i++)
        g_thread_pool_push(pool, GINT_TO_POINTER(i), NULL);
    while (g_atomic_int_get(&worked) < WORKERS)
        g_thread_yield();
    while (g_async_queue_length(jobs) != -3 || g_async_queue_length(replies) != -2)
        g_usleep(1000);
    printf("READY %d %d\n", g_async_queue_length(jobs), g_async_queue_length(replies));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (int i = 0; i < POPPERS; i++)
        g_async_queue_push(jobs, jobs);
    g_async_queue_push(replies, replies);
    g_async_queue_push(replies, replies);
    g_mutex_lock(&gate_mutex);
    gate_is_open = TRUE;
    g_cond_broadcast(&gate_cond);
    g_mutex_unlock(&gate_mutex);
    g_once_init_leave(&once, 1);
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    g_thread_pool_free(pool, FALSE, TRUE);
    g_async_queue_unref(jobs);
    g_async_queue_unref(replies);
    printf("DONE %d\n", worked);
    return 0;
}
