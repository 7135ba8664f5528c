// Queues that are found by their description while tasks wait on them, come and go, and while
// several threads look: the whole way from a park to a channel in a snapshot.

#include "profiler/described/described.h"
#include "profiler/described/problems.h"
#include "profiler/snapshot/snapshot.h"
#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    unsigned used;
    unsigned room;
    bool over;
    pthread_mutex_t mutex;
    pthread_cond_t changed; // both sides wait on it
    pthread_cond_t *urgent;
} found_queue;

static char path[] = "/tmp/taskprof-described-XXXXXX";

static void start(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(described_start(path), 0);
}

static int end(void **state)
{
    (void)state;
    described_stop();
    return 0;
}

static found_queue *queue_new(unsigned used, unsigned room)
{
    found_queue *queue = calloc(1, sizeof(*queue));
    queue->used = used;
    queue->room = room;
    queue->urgent = calloc(1, sizeof(*queue->urgent));
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->changed, NULL);
    pthread_cond_init(queue->urgent, NULL);
    return queue;
}

static void queue_free(found_queue *queue)
{
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->changed);
    pthread_cond_destroy(queue->urgent);
    free(queue->urgent);
    free(queue);
}

__attribute__((noinline)) static void queue_wait(found_queue *queue, pthread_cond_t *on)
{
    pthread_mutex_lock(&queue->mutex);
    taskprof_park(TASKPROF_COND_WAIT, on);
    while (!queue->over)
        pthread_cond_wait(on, &queue->mutex);
    taskprof_unpark();
    pthread_mutex_unlock(&queue->mutex);
}

static void *wait_for_change(void *queue)
{
    queue_wait(queue, &((found_queue *)queue)->changed);
    return NULL;
}

static void *wait_urgently(void *queue)
{
    queue_wait(queue, ((found_queue *)queue)->urgent);
    return NULL;
}

static void queue_end(found_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->over = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_cond_broadcast(queue->urgent);
    pthread_mutex_unlock(&queue->mutex);
}

// The channel at an address in a snapshot taken now: a copy; id 0 if there is none.
static struct snapshot_channel look(const void *object)
{
    struct snapshot *snapshot;
    struct snapshot_channel seen = {0};
    assert_int_equal(snapshot_take(0, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->channel_count; i++)
        if (snapshot->channels[i].object == (uintptr_t)object)
            seen = snapshot->channels[i];
    snapshot_free(snapshot);
    return seen;
}

static bool waits(const void *object, unsigned senders, unsigned receivers)
{
    struct snapshot_channel seen = look(object);
    return seen.id && seen.senders == senders && seen.receivers == receivers;
}

static void one_object_for_both_sides_is_told_by_the_length(void **state)
{
    (void)state;
    start("found_queue len=used cap=room recv=changed send=changed");
    found_queue *empty = queue_new(0, 4);
    found_queue *full = queue_new(4, 4);
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, wait_for_change, empty);
    pthread_create(&threads[1], NULL, wait_for_change, full);
    eventually(waits(empty, 0, 1));
    eventually(waits(full, 1, 0));
    struct snapshot_channel seen = look(full);
    assert_int_equal(seen.reading.length, 4);
    assert_int_equal(seen.reading.capacity, 4);
    assert_string_equal(seen.name, "found_queue");
    assert_true(seen.found);
    queue_end(empty);
    queue_end(full);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    queue_free(empty);
    queue_free(full);
}

static void a_wait_object_behind_a_pointer_is_followed(void **state)
{
    (void)state;
    start("found_queue len=used cap=room recv=urgent");
    found_queue *queue = queue_new(1, 9);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_urgently, queue);
    eventually(waits(queue, 0, 1));
    queue_end(queue);
    pthread_join(thread, NULL);
    queue_free(queue);
}

static void a_queue_that_makes_no_sense_any_more_is_gone(void **state)
{
    (void)state;
    start("found_queue len=used cap=room recv=changed");
    found_queue *queue = queue_new(0, 4);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_change, queue);
    eventually(waits(queue, 0, 1));
    pthread_mutex_lock(&queue->mutex);
    queue->used = 5; // as if its memory were something else's by now
    pthread_mutex_unlock(&queue->mutex);
    assert_int_equal(look(queue).id, 0);
    queue_end(queue);
    pthread_join(thread, NULL);
    queue_free(queue);
}

static void a_stop_takes_them_out_and_a_start_finds_them_again(void **state)
{
    (void)state;
    found_queue *queue = queue_new(0, 4);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_change, queue);
    for (int round = 0; round < 3; round++) {
        start("found_queue len=used cap=room recv=changed");
        eventually(waits(queue, 0, 1));
        described_stop();
        assert_int_equal(look(queue).id, 0);
    }
    queue_end(queue);
    pthread_join(thread, NULL);
    queue_free(queue);
}

static _Atomic bool over;

static void *come_and_go(void *unused)
{
    while (!atomic_load(&over)) {
        found_queue *queue = queue_new(0, 4);
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_change, queue);
        // Until a snapshot has found it, or had the chance to.
        look(queue);
        queue_end(queue);
        pthread_join(thread, NULL);
        queue_free(queue);
    }
    return unused;
}

static void queues_come_and_go_while_others_look(void **state)
{
    (void)state;
    enum { THREADS = 3, LOOKS = 200 };
    start("found_queue len=used cap=room recv=changed name=missing\n"
          "found_queue len=used cap=room recv=changed");
    found_queue *lasting = queue_new(2, 4);
    pthread_t waiter;
    pthread_t threads[THREADS];
    atomic_store(&over, false);
    pthread_create(&waiter, NULL, wait_for_change, lasting);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    eventually(waits(lasting, 0, 1));
    for (int i = 0; i < LOOKS; i++) {
        struct snapshot_channel seen = look(lasting);
        assert_int_equal(seen.receivers, 1);
        assert_int_equal(seen.reading.length, 2);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct buffer text = {0};
    problems_write(&text, "");
    buffer_char(&text, '\0');
    assert_non_null(strstr(text.data, "has no field \"missing\""));
    buffer_release(&text);
    queue_end(lasting);
    pthread_join(waiter, NULL);
    queue_free(lasting);
}

static void the_child_of_a_fork_takes_snapshots(void **state)
{
    (void)state;
    start("found_queue len=used cap=room recv=changed");
    found_queue *queue = queue_new(0, 4);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_change, queue);
    eventually(waits(queue, 0, 1));
    pid_t child = fork();
    if (child == 0) {
        struct snapshot *snapshot;
        for (int i = 0; i < 3; i++) {
            if (snapshot_take(0, 0, &snapshot) != 0 || snapshot->tasks != 1)
                _exit(1);
            snapshot_free(snapshot);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    queue_end(queue);
    pthread_join(thread, NULL);
    queue_free(queue);
}

static void what_is_no_file_is_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *says;
    } cases[] = {
        {"/nowhere/at/all", "can't be read: No such file"},
        {"/tmp", "not a file"},
        {"/dev/zero", "not a file"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(described_start(cases[i].path), 0);
        struct buffer text = {0};
        problems_write(&text, "# ");
        buffer_char(&text, '\0');
        assert_non_null(strstr(text.data, cases[i].says));
        assert_memory_equal(text.data, "# ", 2);
        buffer_release(&text);
        described_stop();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_object_for_both_sides_is_told_by_the_length, end),
        cmocka_unit_test_teardown(a_wait_object_behind_a_pointer_is_followed, end),
        cmocka_unit_test_teardown(a_queue_that_makes_no_sense_any_more_is_gone, end),
        cmocka_unit_test_teardown(a_stop_takes_them_out_and_a_start_finds_them_again, end),
        cmocka_unit_test_teardown(queues_come_and_go_while_others_look, end),
        cmocka_unit_test_teardown(the_child_of_a_fork_takes_snapshots, end),
        cmocka_unit_test_teardown(what_is_no_file_is_not_read, end),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
