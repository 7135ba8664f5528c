#include "service/recorder.h"

#include "answers/index.h"
#include "profiler/base/directory.h"
#include "profiler/base/lock.h"
#include "profiler/base/own_fd.h"
#include "profiler/tasks/own_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".goroutine.pb.gz"

// More than so many of one program's files are not deleted at once: somebody has lowered the limit,
// and the next rounds go on.
enum { DELETED_AT_ONCE = 16, NAME = 128 };

static struct {
    pthread_t thread;
    bool started;
    _Atomic uint32_t stop; // a futex; 1: the thread is to leave
    char program[64];
    char folder[256]; // as the user named it
    unsigned every_s;
    unsigned keep;
    int fd; // the folder: still the same one after a chroot, or with fewer rights
    struct stat identity;
    // Relaxed: for the index alone.
    _Atomic uint32_t written;
    _Atomic int error; // negative errno of the last round, or 0
} recorder = {.fd = -1};

// A program that closes all descriptors closes this one too, and may get its number for another
// file.
static bool folder_is_ours(void)
{
    struct stat status;
    return fstat(recorder.fd, &status) == 0 && status.st_dev == recorder.identity.st_dev &&
           status.st_ino == recorder.identity.st_ino;
}

// Another may lie in its place.
static bool folder_is_deleted(void)
{
    struct stat status;
    return fstat(recorder.fd, &status) == 0 && status.st_nlink == 0;
}

static int folder_open(void)
{
    int fd = own_fd_high(open(recorder.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return -errno;
    if (fstat(fd, &recorder.identity) != 0) {
        int error = -errno;
        own_fd_close(fd);
        return error;
    }
    recorder.fd = fd;
    return 0;
}

// "PROGRAM-" and a time: sorted by name is sorted by age.
static bool is_ours(const char *name)
{
    size_t program = strlen(recorder.program);
    size_t length = strlen(name);
    return length > program + sizeof(SUFFIX) && strncmp(name, recorder.program, program) == 0 &&
           name[program] == '-' && name[program + 1] == '2' &&
           strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

// How many profiles of this program lie there, and the oldest one's name.
static unsigned count_profiles(char oldest[NAME])
{
    struct directory directory;
    const char *name;
    unsigned count = 0;
    int listing = own_fd(openat(recorder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (listing < 0)
        return 0;
    directory_begin(&directory, listing);
    while (directory_next(&directory, &name) > 0) {
        if (strlen(name) >= NAME || !is_ours(name))
            continue;
        if (count++ == 0 || strcmp(name, oldest) < 0)
            snprintf(oldest, NAME, "%s", name);
    }
    own_fd_close(listing);
    return count;
}

static void make_room(void)
{
    char oldest[NAME];
    for (int i = 0; i < DELETED_AT_ONCE && count_profiles(oldest) >= recorder.keep; i++)
        if (unlinkat(recorder.fd, oldest, 0) != 0)
            return;
}

// Under another name until it is whole: whoever reads the folder meets no half profiles.
static int write_profile(void)
{
    char name[NAME];
    char unfinished[NAME + 8];
    struct timespec now;
    struct tm parts;
    bool ours = folder_is_ours();
    if (!ours || folder_is_deleted()) {
        int old = ours ? recorder.fd : -1;
        int error = folder_open();
        if (error)
            return error;
        if (old >= 0)
            own_fd_close(old);
    }
    make_room();
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    int length =
        snprintf(name, sizeof(name), "%s-%04d%02d%02dT%02d%02d%02d.%03ldZ-%d" SUFFIX,
                 recorder.program, parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                 parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000, getpid());
    if (length < 0 || (size_t)length >= sizeof(name))
        return -ENAMETOOLONG;
    snprintf(unfinished, sizeof(unfinished), ".%s", name);
    int fd = own_fd(openat(recorder.fd, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (fd < 0)
        return -errno;
    int result = taskprof_write(fd, "goroutine", NULL);
    // Full disks are often told only now.
    if (result == 0 && fsync(fd) != 0)
        result = -errno;
    own_fd_close(fd);
    if (result == 0 && renameat(recorder.fd, unfinished, recorder.fd, name) != 0)
        result = -errno;
    if (result < 0)
        unlinkat(recorder.fd, unfinished, 0);
    return result;
}

static void *run(void *unused)
{
    int64_t pause_ns = (int64_t)recorder.every_s * 1000000000;
    for (;;) {
        int woken = futex_wait(&recorder.stop, 0, pause_ns);
        // Acquire: pairs with the release in recorder_stop.
        if (atomic_load_explicit(&recorder.stop, memory_order_acquire))
            return unused;
        if (woken != -ETIMEDOUT)
            continue;
        int result = write_profile();
        atomic_store_explicit(&recorder.error, result, memory_order_relaxed);
        if (result == 0)
            atomic_fetch_add_explicit(&recorder.written, 1, memory_order_relaxed);
    }
}

// Of the program's own name what can stand in a file's.
static void name_program(void)
{
    snprintf(recorder.program, sizeof(recorder.program), "%s", program_invocation_short_name);
    for (char *at = recorder.program; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == '/')
            *at = '_';
}

// For the index: any thread.
static void note(struct buffer *out)
{
    uint32_t written = atomic_load_explicit(&recorder.written, memory_order_relaxed);
    int error = atomic_load_explicit(&recorder.error, memory_order_relaxed);
    buffer_printf(out,
                  "A goroutine profile every %u s is kept in %s, the newest %u of them; %u written "
                  "so far",
                  recorder.every_s, recorder.folder, recorder.keep, written);
    if (error)
        buffer_printf(out, "; the last one could not be written: %s", taskprof_error_text(error));
}

int recorder_start(const struct settings *settings)
{
    snprintf(recorder.folder, sizeof(recorder.folder), "%s", settings->snapshots);
    recorder.every_s = settings->snapshots_every_s;
    recorder.keep = settings->snapshots_keep;
    name_program();
    int error = folder_open();
    if (error)
        return error;
    atomic_store_explicit(&recorder.stop, 0, memory_order_relaxed);
    atomic_store_explicit(&recorder.written, 0, memory_order_relaxed);
    atomic_store_explicit(&recorder.error, 0, memory_order_relaxed);
    error = own_thread_start(&recorder.thread, "taskprof-files", run, NULL);
    recorder.started = error == 0;
    index_set_note(error ? NULL : note);
    if (error) {
        own_fd_close(recorder.fd);
        recorder.fd = -1;
    }
    return error;
}

void recorder_stop(void)
{
    if (!recorder.started)
        return;
    atomic_store_explicit(&recorder.stop, 1, memory_order_release);
    futex_wake(&recorder.stop, 1);
    pthread_join(recorder.thread, NULL);
    recorder_after_fork();
}

void recorder_after_fork(void)
{
    recorder.started = false;
    index_set_note(NULL);
    if (recorder.fd >= 0 && folder_is_ours())
        own_fd_close(recorder.fd);
    recorder.fd = -1;
}
