#include "profiler/snapshot/lock_state.h"

#include <linux/futex.h>

// Bits of __kind: nptl/pthreadP.h.
enum {
    KIND_TYPE = 3, // normal, recursive, error-checking, adaptive
    KIND_ROBUST = 16,
    KIND_INHERITS = 32, // priorities: a lock of the kernel's
    KIND_PROTECTS = 64,
    KIND_SHARED = 128,
    KIND_ELISION = 256 | 512,
    KIND_ALL = KIND_TYPE | KIND_ROBUST | KIND_INHERITS | KIND_PROTECTS | KIND_SHARED | KIND_ELISION,
};

enum { CEILING_SHIFT = 19 }; // of a lock that protects: its ceiling is above

// Bits of a rwlock's __readers: nptl/pthread_rwlock_common.c.
enum {
    RWLOCK_WRITE_PHASE = 1,
    RWLOCK_WRITE_LOCKED = 2,
    RWLOCK_READER_SHIFT = 3,
    RWLOCK_FLAGS_MAX = 2, // __flags is what pthread_rwlockattr_setkind_np takes
};

static bool may_be_tid(int tid)
{
    return tid > 0 && tid <= (int)FUTEX_TID_MASK;
}

void lock_state_of_mutex(const pthread_mutex_t *copy, struct lock_state *ret)
{
    int kind = copy->__data.__kind;
    int type = kind & KIND_TYPE;
    unsigned lock = (unsigned)copy->__data.__lock;
    int owner = copy->__data.__owner;
    bool has_tid = kind & (KIND_ROBUST | KIND_INHERITS);
    *ret = (struct lock_state){
        .shared = kind & KIND_SHARED,
        .checks_self = type == PTHREAD_MUTEX_RECURSIVE || type == PTHREAD_MUTEX_ERRORCHECK,
        .in_kernel = kind & KIND_INHERITS,
    };
    if ((kind & ~KIND_ALL) || (kind & KIND_INHERITS && kind & KIND_PROTECTS))
        return;
    if (has_tid) {
        // The word is the holder's tid and two flags. One whose holder died is given to the next.
        if (lock & FUTEX_OWNER_DIED || (int)(lock & FUTEX_TID_MASK) != owner)
            return;
    } else {
        unsigned word = kind & KIND_PROTECTS ? lock & ((1u << CEILING_SHIFT) - 1) : lock;
        // 1: held; 2: held, and somebody waits. The list is that of robust ones.
        if (word == 0 || word > 2 || copy->__data.__list.__next || copy->__data.__list.__prev)
            return;
    }
    // How often a recursive one is held; those that the kernel has a part in use it as they like.
    bool counts = type == PTHREAD_MUTEX_RECURSIVE;
    bool plain = !has_tid && !(kind & KIND_PROTECTS);
    if ((counts && copy->__data.__count == 0) || (plain && !counts && copy->__data.__count != 0))
        return;
    if (!may_be_tid(owner) || copy->__data.__nusers == 0)
        return;
    ret->holding = LOCK_BY_TID;
    ret->tid = owner;
}

void lock_state_of_rwlock(const pthread_rwlock_t *copy, struct lock_state *ret)
{
    unsigned word = copy->__data.__readers;
    unsigned readers = word >> RWLOCK_READER_SHIFT;
    int writer = copy->__data.__cur_writer;
    *ret = (struct lock_state){.shared = copy->__data.__shared, .checks_self = true};
    if ((unsigned)copy->__data.__shared > 1 || copy->__data.__flags > RWLOCK_FLAGS_MAX ||
        copy->__data.__pad3 || copy->__data.__pad4)
        return;
    if (word & RWLOCK_WRITE_PHASE && word & RWLOCK_WRITE_LOCKED && may_be_tid(writer)) {
        ret->holding = LOCK_BY_TID;
        ret->tid = writer;
    } else if (!(word & RWLOCK_WRITE_PHASE) && readers && writer == 0) {
        ret->holding = LOCK_BY_READERS;
        ret->readers = readers;
    }
}
