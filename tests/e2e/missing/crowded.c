// A process that has had more than can be kept before anybody looked: coroutines from half a
// million different places, and as many channel names. Prints the endpoint's address when that is
// over, then, for each line of its standard input, makes one coroutine that waits, from a place
// that is new, and prints its id.

#include <stdio.h>
#include <stdlib.h>
#include <taskprof/taskprof.h>

enum { DEPTH = 20, PLACES = 500000, NAMES = 400000 };

static _Alignas(16) char stack[4096];

static taskprof_task *begin(void)
{
    struct taskprof_coroutine coroutine = {
        .size = sizeof(coroutine), .stack_low = stack, .stack_size = sizeof(stack)};
    taskprof_task *task = NULL;
    if (taskprof_coroutine_begin(&coroutine, &task) < 0)
        exit(1);
    return task;
}

// Its bits say which of two functions calls the next one: a stack of its own for each number.
typedef taskprof_task *step(unsigned place, unsigned depth);
static step place_left;
static step place_right;

static taskprof_task *from(unsigned place, unsigned depth)
{
    if (depth == 0)
        return begin();
    return (place & 1 ? place_right : place_left)(place >> 1, depth - 1);
}

__attribute__((noinline)) static taskprof_task *place_left(unsigned place, unsigned depth)
{
    taskprof_task *task = from(place, depth);
    __asm__ volatile("# left");
    return task;
}

__attribute__((noinline)) static taskprof_task *place_right(unsigned place, unsigned depth)
{
    taskprof_task *task = from(place, depth);
    __asm__ volatile("# right");
    return task;
}

static void make_and_free(unsigned number)
{
    char name[32];
    taskprof_chan *channel;
    snprintf(name, sizeof(name), "conn-%u", number);
    if (taskprof_chan_make(1, 0, name, &channel) < 0 || taskprof_chan_free(channel) < 0)
        exit(1);
}

int main(void)
{
    unsigned place = 0;
    if (taskprof_start(NULL) < 0) {
        fprintf(stderr, "%s\n", taskprof_start_error());
        return 1;
    }
    for (; place < PLACES; place++)
        taskprof_coroutine_end(from(place, DEPTH));
    for (unsigned i = 0; i < NAMES; i++)
        make_and_free(i);
    printf("%s\n", taskprof_address());
    fflush(stdout);
    while (getchar() != EOF) {
        printf("%llu\n", (unsigned long long)taskprof_task_id(from(place++, DEPTH)));
        fflush(stdout);
    }
}
