/* The clock, the latency histogram, and what /proc says of the server. */
#include "crowd.h"

#include <dirent.h>
#include <string.h>
#include <time.h>

/* ---- latency: log-linear, 64 steps an octave, in microseconds ---- */

enum { STEPS = 64 };
static uint64_t histogram[64 * STEPS], latency_count, latency_max;

static int slot_of(uint64_t us) {
    if (us < STEPS) return (int)us;
    int octave = 63 - __builtin_clzll(us);
    return (octave - 5) * STEPS + (int)((us >> (octave - 6)) & (STEPS - 1));
}

static uint64_t value_of(int slot) {
    if (slot < STEPS) return (uint64_t)slot;
    return (uint64_t)(STEPS + slot % STEPS) << (slot / STEPS - 1);
}

void latency_add(uint64_t us) {
    histogram[slot_of(us)]++;
    latency_count++;
    if (us > latency_max) latency_max = us;
}

double latency_ms(double share) {
    if (!latency_count) return -1;
    uint64_t wanted = (uint64_t)(share * latency_count), below = 0;
    if (wanted >= latency_count) wanted = latency_count - 1;
    for (int slot = 0; slot < 64 * STEPS; slot++)
        if ((below += histogram[slot]) > wanted) return value_of(slot) / 1e3;
    return latency_max / 1e3;
}

double latency_max_ms(void) { return latency_count ? latency_max / 1e3 : -1; }

uint64_t now_us(void) {
    static uint64_t began;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (!began) began = us - 1;
    return us - began;
}

/* ---- the server and the two cores ---- */

static void read_core(int core, uint64_t *ticks) {
    char name[16], line[512];
    int length = snprintf(name, sizeof name, "cpu%d ", core);
    FILE *file = fopen("/proc/stat", "r");
    memset(ticks, 0, 8 * sizeof *ticks);
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, length)) {
            sscanf(line + length, "%lu %lu %lu %lu %lu %lu %lu %lu", ticks, ticks + 1, ticks + 2, ticks + 3, ticks + 4,
                   ticks + 5, ticks + 6, ticks + 7);
            break;
        }
    if (file) fclose(file);
}

static uint64_t run_ns_of_threads(int pid) {
    char path[320];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads && (entry = readdir(threads));) {
        unsigned long ns;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%lu", &ns) == 1) sum += ns;
        if (file) fclose(file);
    }
    if (threads) closedir(threads);
    return sum;
}

void measure_usage(struct usage *usage) {
    char path[64], text[1024];
    memset(usage, 0, sizeof *usage);
    snprintf(path, sizeof path, "/proc/%d/stat", options.pid);
    FILE *file = fopen(path, "r");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        char *behind_name = strrchr(text, ')');
        if (behind_name)
            sscanf(behind_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &usage->user_ticks,
                   &usage->system_ticks);
    }
    snprintf(path, sizeof path, "/proc/%d/status", options.pid);
    if ((file = fopen(path, "r"))) {
        while (fgets(text, sizeof text, file)) sscanf(text, "VmRSS: %lu", &usage->rss_kb);
        fclose(file);
    }
    usage->run_ns = run_ns_of_threads(options.pid);
    read_core(options.server_core, usage->core);
    read_core(options.own_core, usage->own);
}

double busy_percent(const uint64_t *before, const uint64_t *after) {
    uint64_t all = 0, idle = (after[3] - before[3]) + (after[4] - before[4]);
    for (int kind = 0; kind < 8; kind++) all += after[kind] - before[kind];
    return all ? 100.0 * (all - idle) / all : -1;
}
