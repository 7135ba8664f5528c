// A lock's memory tells who holds it, for every kind of lock that libc has; other memory tells
// nothing.

#include "profiler/snapshot/lock_state.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct lock_state mutex_state(const pthread_mutex_t *mutex)
{
    struct lock_state state;
    lock_state_of_mutex(mutex, &state);
    return state;
}

static struct lock_state rwlock_state(const pthread_rwlock_t *rwlock)
{
    struct lock_state state;
    lock_state_of_rwlock(rwlock, &state);
    return state;
}

static void a_mutex_of_every_kind_names_its_holder_while_it_is_held(void **state)
{
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                                PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP};
    static const int protocols[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT, PTHREAD_PRIO_PROTECT};
    unsigned tried = 0;
    (void)state;
#if defined(__SANITIZE_THREAD__)
    // It takes a lock that the C library refuses (a priority without the privilege) for a bad
    // mutex.
    skip();
#endif
    for (unsigned i = 0; i < 4 * 3 * 2 * 2; i++) {
        pthread_mutexattr_t attributes;
        pthread_mutex_t mutex;
        bool robust = i / 12 % 2;
        bool shared = i / 24;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, types[i % 4]);
        pthread_mutexattr_setprotocol(&attributes, protocols[i / 4 % 3]);
        pthread_mutexattr_setrobust(&attributes,
                                    robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
        pthread_mutexattr_setpshared(&attributes,
                                     shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
        // Not every combination exists, and some need a scheduler's privileges.
        if (pthread_mutex_init(&mutex, &attributes) == 0) {
            assert_int_equal(mutex_state(&mutex).holding, LOCK_NOT_TOLD);
            if (pthread_mutex_lock(&mutex) == 0) {
                tried++;
                struct lock_state held = mutex_state(&mutex);
                assert_int_equal(held.holding, LOCK_BY_TID);
                assert_int_equal(held.tid, gettid());
                // A robust one is made for several processes, whatever it was asked for.
                assert_int_equal(held.shared, shared || robust);
                assert_int_equal(held.checks_self, types[i % 4] == PTHREAD_MUTEX_RECURSIVE ||
                                                       types[i % 4] == PTHREAD_MUTEX_ERRORCHECK);
                pthread_mutex_unlock(&mutex);
                assert_int_equal(mutex_state(&mutex).holding, LOCK_NOT_TOLD);
            }
            pthread_mutex_destroy(&mutex);
        }
        pthread_mutexattr_destroy(&attributes);
    }
    assert_true(tried >= 4 * 2 * 2);
}

static void a_lock_for_readers_and_writers_names_its_writer_and_counts_its_readers(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        pthread_rwlockattr_t attributes;
        pthread_rwlock_t rwlock;
        pthread_rwlockattr_init(&attributes);
        pthread_rwlockattr_setpshared(&attributes,
                                      shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
        assert_int_equal(pthread_rwlock_init(&rwlock, &attributes), 0);
        assert_int_equal(rwlock_state(&rwlock).holding, LOCK_NOT_TOLD);
        pthread_rwlock_wrlock(&rwlock);
        struct lock_state held = rwlock_state(&rwlock);
        assert_int_equal(held.holding, LOCK_BY_TID);
        assert_int_equal(held.tid, gettid());
        assert_int_equal(held.shared, shared);
        pthread_rwlock_unlock(&rwlock);
        for (uint32_t readers = 1; readers <= 3; readers++) {
            pthread_rwlock_rdlock(&rwlock);
            assert_int_equal(rwlock_state(&rwlock).holding, LOCK_BY_READERS);
            assert_int_equal(rwlock_state(&rwlock).readers, readers);
        }
        for (int i = 0; i < 3; i++)
            pthread_rwlock_unlock(&rwlock);
        assert_int_equal(rwlock_state(&rwlock).holding, LOCK_NOT_TOLD);
        pthread_rwlock_destroy(&rwlock);
        pthread_rwlockattr_destroy(&attributes);
    }
}

static void memory_that_is_no_lock_tells_of_no_holder(void **state)
{
    unsigned char bytes[sizeof(pthread_rwlock_t) + sizeof(pthread_mutex_t)];
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
    unsigned told = 0;
    (void)state;
    srandom(1);
    for (int i = 0; i < 1000000; i++) {
        for (size_t b = 0; b < sizeof(bytes); b++)
            bytes[b] = (unsigned char)random();
        memcpy(&mutex, bytes, sizeof(mutex));
        memcpy(&rwlock, bytes, sizeof(rwlock));
        told += mutex_state(&mutex).holding != LOCK_NOT_TOLD;
        told += rwlock_state(&rwlock).holding != LOCK_NOT_TOLD;
    }
    assert_int_equal(told, 0);
}

// Each field alone is enough for a refusal.
static void a_mutex_with_one_field_that_glibc_never_writes_is_none(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    (void)state;
    pthread_mutex_lock(&mutex);
    pthread_mutex_t held;
    memcpy(&held, &mutex, sizeof(held));
    pthread_mutex_unlock(&mutex);
    assert_int_equal(mutex_state(&held).holding, LOCK_BY_TID);
    pthread_mutex_t broken = held;
    broken.__data.__lock = 3;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
    broken = held;
    broken.__data.__owner = -1;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
    broken = held;
    broken.__data.__nusers = 0;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
    broken = held;
    broken.__data.__kind = 4;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
    broken = held;
    broken.__data.__count = 1;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
    broken = held;
    broken.__data.__list.__next = (void *)&broken;
    assert_int_equal(mutex_state(&broken).holding, LOCK_NOT_TOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_of_every_kind_names_its_holder_while_it_is_held),
        cmocka_unit_test(a_lock_for_readers_and_writers_names_its_writer_and_counts_its_readers),
        cmocka_unit_test(memory_that_is_no_lock_tells_of_no_holder),
        cmocka_unit_test(a_mutex_with_one_field_that_glibc_never_writes_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
