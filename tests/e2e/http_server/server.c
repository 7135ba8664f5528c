// A process to ask for profiles: workers that wait on a channel, senders that wait on another, and
// a misuse. Prints the endpoint's address, then runs until its standard input ends.
//
//     http_server [WORKERS [coroutines COUNT | descriptors | library PATH | fork | restart]]

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <taskprof/taskprof.h>
#include <time.h>
#include <unistd.h>

static taskprof_chan *orders;
static taskprof_chan *full;

__attribute__((noinline)) static void wait_for_an_order(void)
{
    int order;
    taskprof_chan_receive(orders, &order, NULL);
}

static void *worker(void *argument)
{
    taskprof_task_begin("worker");
    wait_for_an_order();
    return argument;
}

static void *sender(void *argument)
{
    int order = 1;
    taskprof_task_begin("<sender>");
    taskprof_chan_send(full, &order);
    return argument;
}

static void *loader(void *path)
{
    dlopen(path, RTLD_NOW);
    return NULL;
}

static void create(void *(*start)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    if (taskprof_pthread_create(&thread, &attributes, start, argument) != 0)
        exit(2);
    pthread_attr_destroy(&attributes);
}

// Coroutines that never run: what a dump of very many tasks is made of.
static void make_coroutines(long count)
{
    enum { STACK = 64 };
    char *stacks = mmap(NULL, (size_t)count * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < count; i++) {
        struct taskprof_coroutine coroutine = {
            .size = sizeof(coroutine),
            .name = "idle",
            .stack_low = stacks + i * STACK,
            .stack_size = STACK,
        };
        taskprof_task *task;
        if (taskprof_coroutine_begin(&coroutine, &task) != 0)
            exit(2);
    }
}

static void use_up_descriptors(void)
{
    struct rlimit limit = {256, 256};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        continue;
}

static void start(void)
{
    int error = taskprof_start(NULL);
    if (error == 0)
        return;
    printf("%s\n%s\n", taskprof_start_error(), taskprof_error_text(error));
    exit(1);
}

static bool others_sleep(void)
{
    bool asleep = true;
    DIR *threads = opendir("/proc/self/task");
    if (!threads)
        exit(2);
    for (struct dirent *thread; (thread = readdir(threads));) {
        char path[300];
        int tid;
        char state;
        if (thread->d_name[0] == '.' || strtol(thread->d_name, NULL, 10) == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/stat", thread->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        if (fscanf(file, "%d (%*[^)]) %c", &tid, &state) == 2)
            asleep &= state == 'S';
        fclose(file);
    }
    closedir(threads);
    return asleep;
}

int main(int argc, char **argv)
{
    long workers = argc > 1 ? strtol(argv[1], NULL, 10) : 3;
    const char *mode = argc > 2 ? argv[2] : "";
    const char *value = argc > 3 ? argv[3] : "0";
    int order = 1;
    start();
    if (taskprof_chan_make(sizeof(order), 10, "orders", &orders) != 0 ||
        taskprof_chan_make(sizeof(order), 1, "full", &full) != 0)
        return 2;
    taskprof_chan_send(full, &order);
    taskprof_chan *closed;
    taskprof_chan_make(sizeof(order), 2, "closed", &closed);
    taskprof_chan_close(closed);
    taskprof_chan_close(closed);
    for (long i = 0; i < workers; i++)
        create(worker, NULL);
    create(sender, NULL);
    if (strcmp(mode, "coroutines") == 0)
        make_coroutines(strtol(value, NULL, 10));
    if (strcmp(mode, "descriptors") == 0)
        use_up_descriptors();
    if (strcmp(mode, "library") == 0)
        create(loader, argv[3]);
    if (strcmp(mode, "restart") == 0) {
        taskprof_stop();
        start();
    }
    if (strcmp(mode, "fork") == 0) {
        // The child's endpoint is its own; the parent's goes on.
        printf("%s\n", taskprof_address());
        fflush(stdout);
        // gcc 12's AddressSanitizer leaves the locks of its malloc as they are in a fork, where
        // glibc takes its own before: no thread may be in malloc then.
        while (!others_sleep())
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        pid_t child = fork();
        if (child == 0) {
            if (taskprof_address()[0] || taskprof_stop() != -EALREADY)
                _exit(3);
            start();
        }
        printf("%s\n", taskprof_address());
        fflush(stdout);
        char byte;
        while (read(STDIN_FILENO, &byte, 1) > 0)
            continue;
        if (child == 0)
            _exit(taskprof_stop() == 0 ? 0 : 4);
        int status;
        waitpid(child, &status, 0);
        return taskprof_stop() == 0 && status == 0 ? 0 : 5;
    }
    printf("%s\n", taskprof_address());
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    if (taskprof_stop() != 0 || taskprof_stop() != -EALREADY)
        return 4;
    // Not exit(): the workers are still there.
    _exit(0);
}
