// Described queues where there is no room for what is known of them: waits are then shown by their
// objects, and the loss is counted. And libraries with such queues that come and go for ever.

#include "profiler/described/binaries.h"
#include "profiler/described/described.h"
#include "profiler/described/instances.h"
#include "profiler/snapshot/snapshot.h"
#include "tests/symbol_targets/targets.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    unsigned used;
    unsigned room;
    pthread_cond_t changed;
} short_queue;

enum { RELOADS = 25 };

static size_t instances_before, binaries_before, layouts_before;

static int begin(void **state)
{
    instances_before = instances_budget.limit;
    binaries_before = binaries_budget.limit;
    layouts_before = layouts_budget.limit;
    return targets_setup(state);
}

static int end(void **state)
{
    (void)state;
    described_stop();
    instances_budget.limit = instances_before;
    binaries_budget.limit = binaries_before;
    layouts_budget.limit = layouts_before;
    return 0;
}

static void start(const char *text)
{
    FILE *file = fopen("queues", "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(described_start(targets_path("queues")), 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool over;

__attribute__((noinline)) static void wait_on(void *condition)
{
    pthread_mutex_lock(&mutex);
    taskprof_park(TASKPROF_COND_WAIT, condition);
    while (!over)
        pthread_cond_wait(condition, &mutex);
    taskprof_unpark();
    pthread_mutex_unlock(&mutex);
}

__attribute__((noinline)) static void short_queue_receive(short_queue *queue)
{
    wait_on(&queue->changed);
    *(volatile unsigned *)&queue->used = 0;
}

static void *receive(void *queue)
{
    short_queue_receive(queue);
    return NULL;
}

static short_queue *short_queue_new(void)
{
    short_queue *queue = calloc(1, sizeof(*queue));
    assert_non_null(queue);
    queue->room = 4;
    pthread_cond_init(&queue->changed, NULL);
    return queue;
}

static void set_over(bool is_over, pthread_cond_t *condition)
{
    pthread_mutex_lock(&mutex);
    over = is_over;
    if (condition)
        pthread_cond_broadcast(condition);
    pthread_mutex_unlock(&mutex);
}

// What a snapshot that is taken now says of a wait.
struct seen {
    uint64_t channels; // at the queue's address
    uint64_t receivers;
    uint64_t by_object;  // tasks in groups that wait on this object
    uint64_t on_channel; // of those, in groups that wait on a channel
};

static struct seen look(const void *queue, const void *object)
{
    struct snapshot *snapshot;
    struct seen seen = {0};
    assert_int_equal(snapshot_take(0, 0, &snapshot), 0);
    for (size_t i = 0; i < snapshot->channel_count; i++) {
        if (snapshot->channels[i].object != (uintptr_t)queue)
            continue;
        seen.channels++;
        seen.receivers += snapshot->channels[i].receivers;
    }
    for (size_t i = 0; i < snapshot->group_count; i++) {
        if (snapshot->groups[i].object != (uintptr_t)object)
            continue;
        seen.by_object += snapshot->groups[i].count;
        if (snapshot->groups[i].channel != SNAPSHOT_NO_CHANNEL)
            seen.on_channel += snapshot->groups[i].count;
    }
    snapshot_free(snapshot);
    return seen;
}

static bool is_recognised(const void *queue, const void *object)
{
    struct seen seen = look(queue, object);
    return seen.channels == 1 && seen.receivers == 1;
}

// With a budget of nothing, and then with what it has.
static void assert_left_out_and_found_later(struct budget *budget, size_t limit)
{
    short_queue *queue = short_queue_new();
    pthread_t thread;
    uint64_t before = atomic_load(&budget->left_out);
    set_over(false, NULL);
    budget->limit = 0;
    start("short_queue len=used cap=room recv=changed");
    assert_int_equal(pthread_create(&thread, NULL, receive, queue), 0);
    eventually(look(queue, &queue->changed).by_object == 1 &&
               atomic_load(&budget->left_out) > before);
    for (int i = 0; i < 3; i++) {
        struct seen seen = look(queue, &queue->changed);
        assert_int_equal(seen.channels, 0);
        assert_int_equal(seen.by_object, 1);
        assert_int_equal(seen.on_channel, 0);
    }
    described_stop();
    budget->limit = limit;
    uint64_t after = atomic_load(&budget->left_out);
    start("short_queue len=used cap=room recv=changed");
    eventually(is_recognised(queue, &queue->changed));
    assert_int_equal(atomic_load(&budget->left_out), after);
    set_over(true, &queue->changed);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&queue->changed);
    free(queue);
}

static void a_queue_without_room_is_shown_by_the_object_that_is_waited_on(void **state)
{
    (void)state;
    assert_left_out_and_found_later(&instances_budget, instances_before);
}

static void queues_of_files_without_room_are_shown_by_their_objects(void **state)
{
    (void)state;
    assert_left_out_and_found_later(&binaries_budget, binaries_before);
}

static void queues_of_layouts_without_room_are_shown_by_their_objects(void **state)
{
    (void)state;
    assert_left_out_and_found_later(&layouts_budget, layouts_before);
}

static void those_that_had_room_are_still_shown_when_there_is_no_more(void **state)
{
    (void)state;
    enum { QUEUES = 6, WAITERS = QUEUES };
    short_queue *queues[QUEUES];
    pthread_t threads[WAITERS];
    uint64_t before = atomic_load(&instances_budget.left_out);
    set_over(false, NULL);
    // Room for some of them: slots that were ever used stay.
    start("short_queue len=used cap=room recv=changed");
    for (int i = 0; i < QUEUES / 2; i++) {
        queues[i] = short_queue_new();
        assert_int_equal(pthread_create(&threads[i], NULL, receive, queues[i]), 0);
        eventually(is_recognised(queues[i], &queues[i]->changed));
    }
    assert_int_equal(atomic_load(&instances_budget.left_out), before);
    instances_budget.limit = 0;
    for (int i = QUEUES / 2; i < QUEUES; i++) {
        queues[i] = short_queue_new();
        assert_int_equal(pthread_create(&threads[i], NULL, receive, queues[i]), 0);
        uint64_t so_far = atomic_load(&instances_budget.left_out);
        eventually((look(queues[i], NULL), atomic_load(&instances_budget.left_out) > so_far));
        assert_int_equal(look(queues[i], NULL).channels, 0);
    }
    for (int i = 0; i < QUEUES / 2; i++)
        assert_true(is_recognised(queues[i], &queues[i]->changed));
    for (int i = 0; i < QUEUES; i++)
        set_over(true, &queues[i]->changed);
    for (int i = 0; i < QUEUES; i++) {
        pthread_join(threads[i], NULL);
        pthread_cond_destroy(&queues[i]->changed);
        free(queues[i]);
    }
}

// A queue of a library's. It waits by what it is given, for the public functions are not exported
// by this program.
static const char library_source[] =
    "#include <pthread.h>\n"
    "#include <stdlib.h>\n"
    "struct plug_queue { long filler; unsigned used, room; pthread_cond_t changed; };\n"
    "struct plug_queue *plug_new(void)\n"
    "{ struct plug_queue *queue = calloc(1, sizeof(*queue)); queue->room = 4;\n"
    "  pthread_cond_init(&queue->changed, 0); return queue; }\n"
    "pthread_cond_t *plug_changed(struct plug_queue *queue) { return &queue->changed; }\n"
    "void plug_free(struct plug_queue *queue) { pthread_cond_destroy(&queue->changed); "
    "free(queue); }\n"
    "void plug_receive(struct plug_queue *queue, void (*wait)(void *))\n"
    "{ wait(&queue->changed); queue->used = 0; }\n";

struct plug {
    void *library;
    void *queue;
    void *changed;
    void (*free)(void *queue);
    void (*receive)(void *queue, void (*wait)(void *));
};

static struct plug load(const char *file)
{
    struct plug plug = {.library = dlopen(targets_path(file), RTLD_NOW)};
    assert_non_null(plug.library);
    void *(*new)(void);
    void *(*changed)(void *);
    *(void **)&new = dlsym(plug.library, "plug_new");
    *(void **)&changed = dlsym(plug.library, "plug_changed");
    *(void **)&plug.free = dlsym(plug.library, "plug_free");
    *(void **)&plug.receive = dlsym(plug.library, "plug_receive");
    assert_true(new &&changed &&plug.free &&plug.receive);
    plug.queue = new ();
    plug.changed = changed(plug.queue);
    return plug;
}

static void *receive_from_plug(void *argument)
{
    const struct plug *plug = argument;
    plug->receive(plug->queue, wait_on);
    return NULL;
}

// Files that are mapped for execution.
static size_t mapped_files(void)
{
    struct arena arena = {0};
    struct mapping *mappings;
    unsigned main_mapping;
    size_t files = 0;
    assert_int_equal(maps_refresh(), 0);
    int count = maps_list(&arena, &mappings, &main_mapping);
    for (int i = 0; i < count; i++)
        files += mappings[i].inode && (i == 0 || mappings[i].inode != mappings[i - 1].inode);
    arena_release(&arena);
    return files;
}

static void a_library_that_is_loaded_again_and_again_has_its_queue_recognised(void **state)
{
    (void)state;
    char file[32];
    FILE *source = fopen("plug.c", "we");
    assert_non_null(source);
    fputs(library_source, source);
    fclose(source);
    targets_run("cc -O0 -g -shared -fPIC -o plug.so plug.c");
    uint64_t before = atomic_load(&binaries_budget.left_out);
    uint64_t layouts_left = atomic_load(&layouts_budget.left_out);
    uint64_t instances_left = atomic_load(&instances_budget.left_out);
    // Room for the library of now, and for that of before until it is seen to be gone.
    binaries_budget.limit = (mapped_files() + 2) * sizeof(struct binary);
    layouts_budget.limit = sizeof(struct layout); // it is the same each time
    start("plug_queue len=used cap=room recv=changed");
    for (int i = 0; i < RELOADS; i++) {
        // A file of its own: another binary each time.
        snprintf(file, sizeof(file), "plug%d.so", i);
        targets_run("cp plug.so %s", file);
        struct plug plug = load(file);
        pthread_t thread;
        set_over(false, NULL);
        assert_int_equal(pthread_create(&thread, NULL, receive_from_plug, &plug), 0);
        eventually(is_recognised(plug.queue, plug.changed));
        set_over(true, plug.changed);
        pthread_join(thread, NULL);
        plug.free(plug.queue);
        assert_int_equal(dlclose(plug.library), 0);
    }
    assert_int_equal(atomic_load(&binaries_budget.left_out), before);
    assert_int_equal(atomic_load(&layouts_budget.left_out), layouts_left);
    assert_int_equal(atomic_load(&instances_budget.left_out), instances_left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_queue_without_room_is_shown_by_the_object_that_is_waited_on,
                                  end),
        cmocka_unit_test_teardown(queues_of_files_without_room_are_shown_by_their_objects, end),
        cmocka_unit_test_teardown(queues_of_layouts_without_room_are_shown_by_their_objects, end),
        cmocka_unit_test_teardown(those_that_had_room_are_still_shown_when_there_is_no_more, end),
        cmocka_unit_test_teardown(a_library_that_is_loaded_again_and_again_has_its_queue_recognised,
                                  end),
    };
    return cmocka_run_group_tests(tests, begin, targets_teardown);
}
