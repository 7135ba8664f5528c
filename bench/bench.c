#include "bench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void bench_say(const char *key, double value)
{
    printf("%s %.12g\n", key, value);
    fflush(stdout);
}

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void bench_pin(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

size_t bench_count(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || value == 0)
        bench_fail("'%s' is not a number from 1 on", text);
    return value;
}

static size_t status_field(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        bench_fail("/proc/self/status: %s", strerror(errno));
    char line[256];
    size_t kib = 0;
    size_t length = strlen(name);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            kib = strtoull(line + length + 1, NULL, 10);
    fclose(file);
    if (kib == 0)
        bench_fail("/proc/self/status has no %s", name);
    return kib * 1024;
}

size_t bench_rss(void)
{
    return status_field("VmRSS");
}

size_t bench_peak_rss(void)
{
    return status_field("VmHWM");
}

void bench_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        bench_fail("the peak of resident memory can't be reset: %s", strerror(errno));
    close(fd);
}

// Whether /proc's line for a thread, "TID (NAME) STATE …", is of a thread of this name that does
// not sleep.
static bool is_awake(const char *thread, const char *name)
{
    char path[512];
    char line[256] = "";
    char state;
    snprintf(path, sizeof(path), "/proc/self/task/%s/stat", thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char *read = fgets(line, sizeof(line), file);
    fclose(file);
    const char *start = strchr(line, '(');
    const char *end = strrchr(line, ')');
    return read && start && end && strncmp(start + 1, name, strlen(name)) == 0 &&
           sscanf(end, ") %c", &state) == 1 && state != 'S';
}

void bench_wait_until_warm(void)
{
    for (int looks = 0; looks < 20; looks++) {
        DIR *threads = opendir("/proc/self/task");
        if (!threads)
            bench_fail("/proc/self/task: %s", strerror(errno));
        struct dirent *entry;
        while ((entry = readdir(threads)))
            if (is_awake(entry->d_name, "taskprof-dwarf"))
                looks = 0;
        closedir(threads);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

int bench_memory_file(void)
{
    int fd = memfd_create("profile", MFD_CLOEXEC);
    if (fd < 0)
        bench_fail("memfd_create: %s", strerror(errno));
    return fd;
}

void bench_save(int fd, const char *path)
{
    struct stat stat;
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0 || fstat(fd, &stat) < 0)
        bench_fail("%s: %s", path, strerror(errno));
    off_t at = 0;
    while (at < stat.st_size)
        if (sendfile(out, fd, &at, (size_t)(stat.st_size - at)) <= 0)
            bench_fail("%s: %s", path, strerror(errno));
    close(out);
}
