// A program with odd habits. Prints "ready", lives until its input ends, and then prints "EINTR" if
// that wait was interrupted, "signal" if a handler of its own ever ran.
//
//     preload_odd threads N   N threads with stacks of 16 KiB, all waiting on one condition
//     preload_odd handlers    its own handler for every signal, and a thread that runs for ever
//     preload_odd dlopen FILE until then it loads and unloads a library without pause

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static volatile sig_atomic_t handled;
static volatile bool ended;
static volatile unsigned long turns;

static void handle(int number)
{
    (void)number;
    handled = 1;
}

static void *wait_for_ever(void *unused)
{
    pthread_mutex_lock(&mutex);
    for (;;)
        pthread_cond_wait(&never, &mutex);
    return unused;
}

static void *run_for_ever(void *unused)
{
    for (;;)
        turns++;
    return unused;
}

static void *load_and_unload(void *path)
{
    while (!ended) {
        void *library = dlopen(path, RTLD_NOW);
        if (!library || dlclose(library) != 0) {
            puts(dlerror());
            break;
        }
    }
    return NULL;
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, function == load_and_unload ? 1 << 20 : 16384);
    int error = pthread_create(&thread, &attributes, function, argument);
    if (error) {
        printf("pthread_create: %s\n", strerror(error));
        exit(1);
    }
    return thread;
}

int main(int argc, char **argv)
{
    const char *habit = argc > 1 ? argv[1] : "";
    pthread_t loader = 0;
    if (strcmp(habit, "threads") == 0 && argc > 2) {
        for (long i = strtol(argv[2], NULL, 10); i > 0; i--)
            start(wait_for_ever, NULL);
    } else if (strcmp(habit, "handlers") == 0) {
        struct sigaction action = {.sa_handler = handle};
        for (int number = 1; number <= SIGRTMAX; number++)
            sigaction(number, &action, NULL);
        start(run_for_ever, NULL);
    } else if (strcmp(habit, "dlopen") == 0 && argc > 2) {
        loader = start(load_and_unload, argv[2]);
    }
    puts("ready");
    fflush(stdout);
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR)
        puts("EINTR");
    ended = true;
    if (loader)
        pthread_join(loader, NULL);
    if (handled)
        puts("signal");
    fflush(stdout);
    _exit(4);
}
