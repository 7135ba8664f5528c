// A process in which malloc never returns again: a thread has died while it held malloc's lock. The
// whole program uses this malloc, libmicrohttpd too.
//
// Prints the endpoint's address and goes on until it is killed. "stuck" on standard input locks
// malloc, "free" unlocks it.

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <taskprof/taskprof.h>
#include <unistd.h>

static pthread_mutex_t malloc_lock = PTHREAD_MUTEX_INITIALIZER;

// Never given back: enough for a test.
static char heap[256 << 20] __attribute__((aligned(16)));
static size_t used;

struct head {
    size_t size;
    size_t pad;
};

void *malloc(size_t size)
{
    if (size > sizeof(heap) / 2)
        return NULL;
    pthread_mutex_lock(&malloc_lock);
    struct head *head = NULL;
    size_t want = (size + sizeof(*head) + 15) / 16 * 16;
    if (sizeof(heap) - used >= want) {
        head = (struct head *)(heap + used);
        used += want;
        head->size = size;
    }
    pthread_mutex_unlock(&malloc_lock);
    return head ? head + 1 : NULL;
}

void free(void *memory)
{
    if (!memory)
        return;
    pthread_mutex_lock(&malloc_lock);
    pthread_mutex_unlock(&malloc_lock);
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    // This heap is handed out once: it is zeroed.
    return malloc(bytes);
}

void *realloc(void *memory, size_t size)
{
    void *fresh = malloc(size);
    if (fresh && memory) {
        size_t old = ((struct head *)memory - 1)->size;
        memcpy(fresh, memory, old < size ? old : size);
    }
    return fresh;
}

static void *aligned(size_t alignment, size_t size)
{
    char *memory = malloc(size + alignment + sizeof(struct head));
    if (!memory)
        return NULL;
    uintptr_t at = ((uintptr_t)memory + sizeof(struct head) + alignment - 1) & ~(alignment - 1);
    ((struct head *)at - 1)->size = size;
    return (void *)at;
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    *memory = aligned(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return aligned(alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
    return aligned(alignment, size);
}

static taskprof_chan *orders;

static void *worker(void *argument)
{
    int order;
    taskprof_task_begin("worker");
    taskprof_chan_receive(orders, &order, NULL);
    return argument;
}

static void say(const char *text)
{
    ssize_t written = write(STDOUT_FILENO, text, strlen(text));
    (void)written;
}

int main(void)
{
    pthread_t thread;
    char line[16] = "";
    if (taskprof_start(NULL) != 0)
        return 1;
    taskprof_chan_make(sizeof(int), 10, "orders", &orders);
    for (int i = 0; i < 3; i++)
        taskprof_pthread_create(&thread, NULL, worker, NULL);
    say(taskprof_address());
    say("\n");
    // read(2), not stdio, which would allocate.
    while (read(STDIN_FILENO, line, sizeof(line)) > 0) {
        if (line[0] == 's') {
            pthread_mutex_lock(&malloc_lock);
            say("stuck\n");
        } else if (line[0] == 'f') {
            pthread_mutex_unlock(&malloc_lock);
            say("free\n");
        } else if (line[0] == 'e') {
            // A stuck process can still stop its endpoint.
            say(taskprof_stop() == 0 ? "stopped\n" : "not stopped\n");
        }
    }
    _exit(0);
}
