// What a lock's own memory says of who holds it: glibc's pthread_mutex_t (and mtx_t, which is the
// same) and pthread_rwlock_t. Pure functions of a copy of that memory.
//
// A task says on which address it waits, and with which reason; not of which type the object is. So
// whether this is a lock of glibc's at all is a guess, and each is checked: every field must hold
// what glibc can have put there. Memory that fails one of the checks tells of no holder.
//
// Source: glibc 2.36, sysdeps/nptl/bits/struct_mutex.h, struct_rwlock.h, nptl/pthreadP.h,
// nptl/pthread_rwlock_common.c. __owner is the tid that the kernel knows the thread by.

#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum lock_holding {
    LOCK_NOT_TOLD, // no lock of glibc's, or free, or being handed over
    LOCK_BY_TID,
    LOCK_BY_READERS, // how many is known, not who
};

struct lock_state {
    enum lock_holding holding;
    pid_t tid;        // of LOCK_BY_TID
    uint32_t readers; // of LOCK_BY_READERS
    bool shared;      // between processes: the tid may be another one's
    bool checks_self; // its holder's own second attempt fails or succeeds, and never waits
    bool in_kernel;   // waiters wait in the kernel's own lock (PI), not on the lock's address
};

void lock_state_of_mutex(const pthread_mutex_t *copy, struct lock_state *ret);
void lock_state_of_rwlock(const pthread_rwlock_t *copy, struct lock_state *ret);
