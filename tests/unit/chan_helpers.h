// What the tests of channels share: a thread that does one blocking thing, and looks at its park.

#pragma once

#include "profiler/tasks/task.h"
#include "tests/test.h"

#include <pthread.h>
#include <taskprof/taskprof.h>

// One blocking operation on a thread of its own.
struct actor {
    pthread_t thread;
    void (*act)(struct actor *self);
    taskprof_chan *channel;
    int64_t value; // sent, or received
    bool ok;
    int result;
    unsigned chosen;
    struct taskprof_case *cases;
    unsigned case_count;
    int64_t timeout_ns;
    _Atomic(taskprof_task *) task; // set when it runs
    _Atomic bool done;
};

static inline void act_send(struct actor *self)
{
    self->result = taskprof_chan_send(self->channel, &self->value);
}

static inline void act_receive(struct actor *self)
{
    self->result = taskprof_chan_receive(self->channel, &self->value, &self->ok);
}

static inline void act_select(struct actor *self)
{
    self->result = taskprof_select(self->cases, self->case_count, self->timeout_ns, &self->chosen);
}

static inline void *actor_main(void *argument)
{
    struct actor *self = argument;
    atomic_store(&self->task, taskprof_task_self());
    self->act(self);
    atomic_store(&self->done, true);
    return NULL;
}

static inline void actor_start(struct actor *actor)
{
    assert_int_equal(pthread_create(&actor->thread, NULL, actor_main, actor), 0);
}

static inline void actor_join(struct actor *actor)
{
    assert_int_equal(pthread_join(actor->thread, NULL), 0);
}

static inline bool is_parked(struct actor *actor, enum taskprof_reason reason)
{
    taskprof_task *task = atomic_load(&actor->task);
    struct park_record record;
    return task && park_read(task, &record) && record.reason == (uint16_t)reason;
}

// Starts it and waits until it sleeps for this reason.
static inline void actor_start_blocked(struct actor *actor, enum taskprof_reason reason)
{
    actor_start(actor);
    eventually(is_parked(actor, reason));
}

static inline taskprof_chan *make_chan(size_t element_size, size_t capacity)
{
    taskprof_chan *channel;
    assert_int_equal(taskprof_chan_make(element_size, capacity, NULL, &channel), 0);
    return channel;
}
