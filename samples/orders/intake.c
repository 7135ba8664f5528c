#include "intake.h"

int intake_open(struct intake *intake)
{
    *intake = (struct intake){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .not_empty = PTHREAD_COND_INITIALIZER,
        .not_full = PTHREAD_COND_INITIALIZER,
        .capacity = INTAKE_ROOM,
    };
    // All that taskprof has to know: where to read the numbers, and which condition variable stands
    // for which side. A task parked on `not_full` is then reported as `chan send` on "intake".
    const struct taskprof_queue description = {
        .size = sizeof(description),
        .name = "intake",
        .object = intake,
        .length = &intake->length,
        .length_size = sizeof(intake->length),
        .capacity = &intake->capacity,
        .capacity_size = sizeof(intake->capacity),
        .closed = &intake->closed,
        .closed_size = sizeof(intake->closed),
        .receive_waits = {&intake->not_empty},
        .send_waits = {&intake->not_full},
    };
    return taskprof_queue_register(&description, &intake->profile);
}

bool intake_put(struct intake *intake, const struct order *order)
{
    pthread_mutex_lock(&intake->lock);
    if (intake->length == intake->capacity && !intake->closed) {
        // Parks only where it is about to block: the way through stays as fast as it was.
        taskprof_park(TASKPROF_COND_WAIT, &intake->not_full);
        while (intake->length == intake->capacity && !intake->closed)
            pthread_cond_wait(&intake->not_full, &intake->lock);
        taskprof_unpark();
    }
    bool open = !intake->closed;
    if (open) {
        intake->ring[(intake->first + intake->length) % INTAKE_ROOM] = *order;
        intake->length++;
        taskprof_queue_note(intake->profile, TASKPROF_QUEUE_SENT);
        pthread_cond_signal(&intake->not_empty);
    }
    pthread_mutex_unlock(&intake->lock);
    return open;
}

bool intake_take(struct intake *intake, struct order *ret_order)
{
    pthread_mutex_lock(&intake->lock);
    if (intake->length == 0 && !intake->closed) {
        taskprof_park(TASKPROF_COND_WAIT, &intake->not_empty);
        while (intake->length == 0 && !intake->closed)
            pthread_cond_wait(&intake->not_empty, &intake->lock);
        taskprof_unpark();
    }
    bool any = intake->length > 0;
    if (any) {
        *ret_order = intake->ring[intake->first];
        intake->first = (intake->first + 1) % INTAKE_ROOM;
        intake->length--;
        taskprof_queue_note(intake->profile, TASKPROF_QUEUE_RECEIVED);
        pthread_cond_signal(&intake->not_full);
    }
    pthread_mutex_unlock(&intake->lock);
    return any;
}

void intake_close(struct intake *intake)
{
    pthread_mutex_lock(&intake->lock);
    intake->closed = true;
    taskprof_queue_note(intake->profile, TASKPROF_QUEUE_CLOSED);
    pthread_cond_broadcast(&intake->not_empty);
    pthread_cond_broadcast(&intake->not_full);
    pthread_mutex_unlock(&intake->lock);
}

void intake_free(struct intake *intake)
{
    taskprof_queue_unregister(intake->profile);
    pthread_cond_destroy(&intake->not_full);
    pthread_cond_destroy(&intake->not_empty);
    pthread_mutex_destroy(&intake->lock);
}
