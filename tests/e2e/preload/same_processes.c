// Processes: every way to execute a program, vfork, waits for children; and threads with the
// smallest of stacks.

#include "same.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(pid_t child)
{
    int status = 0;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *list[] = {"sh", "-c", "echo $# $1 ${VARIABLE-unset}; exit 5", "zero", "one", NULL};
static char *variables[] = {"VARIABLE=set", "PATH=/usr/bin:/bin", NULL};
#define LIST list[0], list[1], list[2], list[3], list[4], (char *)NULL

#define EXECUTE(call)           \
    do {                        \
        fflush(stdout);         \
        pid_t child_ = fork();  \
        if (child_ == 0) {      \
            call;               \
            _exit(99);          \
        }                       \
        SAY(status_of(child_)); \
    } while (0)

static void executes(void)
{
    EXECUTE(execl("/bin/sh", LIST));
    EXECUTE(execlp("sh", LIST));
    EXECUTE(execle("/bin/sh", LIST, variables));
    EXECUTE(execv("/bin/sh", list));
    EXECUTE(execve("/bin/sh", list, variables));
    EXECUTE(execvp("sh", list));
    EXECUTE(execvpe("sh", list, variables));
    EXECUTE(fexecve(open("/bin/sh", O_RDONLY | O_CLOEXEC), list, variables));
    EXECUTE(execveat(AT_FDCWD, "/bin/sh", list, variables, 0));
    EXECUTE(SAY(execl("/nowhere", "nowhere", (char *)NULL)));
    fflush(stdout);
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", LIST);
        _exit(99);
    }
    SAY(status_of(child));
    // In this process itself, where it fails.
    SAY(execve("/nowhere", list, variables));
    SAY(execvp("nowhere-at-all", list));
    SAY(execv("/", list));
}

static void others(void)
{
    pid_t child;
    int status = 0;
    fflush(stdout);
    // The line of the child's comes before any of ours.
    int spawned = posix_spawnp(&child, "sh", NULL, NULL, list, variables);
    int code = status_of(child);
    SAY(spawned);
    SAY(code);
    SAY(WEXITSTATUS(system("exit 3")));
    FILE *pipe = popen("echo from a pipe", "r");
    char line[64] = "";
    if (!fgets(line, sizeof(line), pipe))
        puts("nothing came");
    printf("%s", line);
    SAY(pclose(pipe));
    SAY(wait(&status));
    SAY(waitpid(-1, &status, WNOHANG));
    SAY(waitid(P_ALL, 0, NULL, WEXITED | WNOHANG));
    SAY(wait4(-1, &status, 0, NULL));
    SAY(wait3(&status, 0, NULL));
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *return_it(void *argument)
{
    return argument;
}

static void *on_small_stack(void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void *result = NULL;
    char byte;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    pthread_mutex_lock(&mutex);
    long sum = pthread_cond_timedwait(&cond, &mutex, IN_MS(CLOCK_REALTIME, 5));
    sum += pthread_mutex_timedlock(&held, IN_MS(CLOCK_REALTIME, 5));
    sum += read(-1, &byte, 1) + usleep(10);
    sum += pthread_create(&thread, &attributes, return_it, &byte);
    sum += pthread_join(thread, &result);
    pthread_attr_destroy(&attributes);
    return result == &byte ? (void *)sum : argument;
}

void same_small_stack(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void *result = NULL;
    pthread_attr_init(&attributes);
    SAY(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN));
    pthread_mutex_lock(&held);
    SAY(pthread_create(&thread, &attributes, on_small_stack, NULL));
    SAY(pthread_join(thread, &result));
    SAY(result);
}

void same_processes(void)
{
    executes();
    others();
}
