// Becomes a daemon in the way that argv[1] says, and waits in poll until its stdin ends:
//   daemon   by daemon(3)
//   once     fork, setsid
//   twice    fork, setsid, fork
//   worker   stays, and has a forked child without a session of its own, which waits, too
// Prints "here PID" of the process that waits last.

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fork_and_leave(void)
{
    switch (fork()) {
    case -1:
        perror("fork");
        exit(1);
    case 0:
        break;
    default:
        _exit(0);
    }
}

static void wait_for_the_end_of_stdin(void)
{
    char byte;
    for (;;) {
        struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
        poll(&end, 1, -1);
        if (read(STDIN_FILENO, &byte, 1) <= 0)
            _exit(0);
    }
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    if (strcmp(way, "daemon") == 0) {
        if (daemon(1, 1) != 0)
            return 1;
    } else if (strcmp(way, "once") == 0 || strcmp(way, "twice") == 0) {
        fork_and_leave();
        setsid();
        if (way[0] == 't')
            fork_and_leave();
    } else if (strcmp(way, "worker") == 0) {
        if (fork() == 0)
            wait_for_the_end_of_stdin();
    } else {
        return 2;
    }
    printf("here %d\n", (int)getpid());
    fflush(stdout);
    wait_for_the_end_of_stdin();
}
