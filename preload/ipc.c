// Message queues and semaphores of System V; POSIX message queues, which are file descriptors.

#include "preload/wrap.h"

WRAP_CALL(ssize_t, msgrcv, (int queue, void *into, size_t size, long type, int flags),
          (queue, into, size, type, flags), !(flags & IPC_NOWAIT), TASKPROF_IO_WAIT, NULL)

WRAP_CALL(int, msgsnd, (int queue, const void *from, size_t size, int flags),
          (queue, from, size, flags), !(flags & IPC_NOWAIT), TASKPROF_IO_WAIT, NULL)

WRAP_CALL(int, semop, (int set, struct sembuf *operations, size_t count), (set, operations, count),
          true, TASKPROF_SEMACQUIRE, NULL)

WRAP_CALL(int, semtimedop,
          (int set, struct sembuf *operations, size_t count, const struct timespec *timeout),
          (set, operations, count, timeout), true, TASKPROF_SEMACQUIRE, NULL)

WRAP_CALL(ssize_t, mq_receive, (mqd_t fd, char *into, size_t size, unsigned *ret_priority),
          (fd, into, size, ret_priority), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(ssize_t, mq_timedreceive,
          (mqd_t fd, char *into, size_t size, unsigned *ret_priority, const struct timespec *until),
          (fd, into, size, ret_priority, until), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(int, mq_send, (mqd_t fd, const char *from, size_t size, unsigned priority),
          (fd, from, size, priority), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))

WRAP_CALL(int, mq_timedsend,
          (mqd_t fd, const char *from, size_t size, unsigned priority,
           const struct timespec *until),
          (fd, from, size, priority, until), true, TASKPROF_IO_WAIT, TASKPROF_FD(fd))
