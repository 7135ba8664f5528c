// What a user of the installed library writes.

#include <taskprof/taskprof.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    taskprof_chan *channel;
    int sent = 42, got = 0;
    if (taskprof_chan_make(sizeof(int), 1, "installed", &channel) < 0)
        return 1;
    if (taskprof_chan_send(channel, &sent) < 0)
        return 1;
    if (taskprof_chan_receive(channel, &got, NULL) < 0 || got != sent)
        return 1;
    // Without a server: the dump goes to stdout.
    return taskprof_write(fileno(stdout), "goroutine", "debug=1") < 0;
}
