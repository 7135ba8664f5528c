// C++ threads blocked in what its standard library makes of the C library, each in a function that
// is named after it. Prints "ready" once all are under way; lives until its input ends.

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unistd.h>

using namespace std::chrono;

static std::mutex locked;
static std::timed_mutex locked_timed;
static std::shared_mutex locked_shared;

static void in_lock()
{
    std::lock_guard<std::mutex> guard(locked);
}

static void in_try_lock_for()
{
    if (locked_timed.try_lock_for(hours(1)))
        std::puts("came back");
}

static void in_try_lock_until()
{
    if (locked_timed.try_lock_until(system_clock::now() + hours(1)))
        std::puts("came back");
}

static void in_lock_shared()
{
    std::shared_lock<std::shared_mutex> guard(locked_shared);
}

static void in_lock_exclusive()
{
    std::unique_lock<std::shared_mutex> guard(locked_shared);
}

static void in_wait()
{
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> guard(mutex);
    never.wait(guard, [] { return false; });
}

static void in_wait_for()
{
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> guard(mutex);
    never.wait_for(guard, hours(1), [] { return false; });
}

static void in_wait_until()
{
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> guard(mutex);
    never.wait_until(guard, system_clock::now() + hours(1), [] { return false; });
}

static void in_sleep()
{
    std::this_thread::sleep_for(hours(1));
}

static void in_future()
{
    std::promise<int> never;
    never.get_future().get();
}

static void in_join()
{
    std::thread(in_sleep).join();
}

int main()
{
    locked.lock();
    locked_timed.lock();
    locked_shared.lock();
    for (auto function :
         {in_lock, in_try_lock_for, in_try_lock_until, in_lock_shared, in_lock_exclusive, in_wait,
          in_wait_for, in_wait_until, in_future, in_join})
        std::thread(function).detach();
    std::puts("ready");
    std::fflush(stdout);
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    _exit(got == 0 ? 3 : 1);
}
