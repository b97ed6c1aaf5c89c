/* A disk that fails, waits and lies about the time when a test wants it to: loaded with LD_PRELOAD.
 *
 * The test and this process share one page, the file named by FAULTY_DISK: what stands in it holds from the next
 * call on, and what happened is counted there. Only files whose path contains FAULTY_DISK_FILES are touched.
 *
 * Not here: what the numbers mean to a test (faulty_disk.py).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    _Atomic int64_t error; /* errno, or 0 */
    _Atomic int64_t times; /* how often from now on; below 0: for ever */
    _Atomic int64_t delay_us;
    _Atomic int64_t begun;
    _Atomic int64_t failed;
    _Atomic int64_t passed; /* the delay, if there was one */
} fault;

enum site { READS, WRITES, SYNCS, SITES };

typedef struct {
    fault sites[SITES];
    _Atomic int64_t clock_ahead_s; /* of the wall clock; the monotonic one never jumps */
} faults;

static faults *control;
static const char *files;

static ssize_t (*real_pread)(int, void *, size_t, off64_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    files = getenv("FAULTY_DISK_FILES");
    const char *path = getenv("FAULTY_DISK");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(faults), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        control = page;
}

static int ours(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return files != NULL && strstr(path, files) != NULL;
}

static int strikes(enum site site, int file)
{
    if (control == NULL || !ours(file))
        return 0;
    fault *which = &control->sites[site];
    which->begun++;
    for (int64_t waited_us = 0; waited_us < which->delay_us; waited_us += 10000) /* less of it ends it sooner */
        usleep(10000);
    which->passed++;
    int64_t error = which->error, times = which->times;
    if (error == 0 || times == 0)
        return 0;
    if (times > 0)
        which->times--;
    which->failed++;
    errno = (int)error;
    return 1;
}

ssize_t pread64(int file, void *bytes, size_t size, off64_t at)
{
    return strikes(READS, file) ? -1 : real_pread(file, bytes, size, at);
}

ssize_t pread(int file, void *bytes, size_t size, off_t at)
{
    return pread64(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
    return strikes(WRITES, file) ? -1 : real_pwrite(file, bytes, size, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    return pwrite64(file, bytes, size, at);
}

int ftruncate64(int file, off64_t size)
{
    return strikes(WRITES, file) ? -1 : real_ftruncate(file, size);
}

int ftruncate(int file, off_t size)
{
    return ftruncate64(file, size);
}

int fsync(int file)
{
    return strikes(SYNCS, file) ? -1 : real_fsync(file);
}

int fdatasync(int file)
{
    return strikes(SYNCS, file) ? -1 : real_fdatasync(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (real_clock_gettime == NULL) /* somebody asks before the constructor ran */
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, now);
    if (failed == 0 && control != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += control->clock_ahead_s;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec precise;
    int failed = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *now)
{
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now != NULL)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
