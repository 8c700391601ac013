/* What this machine can do at most: bytes read from memory a second, and operations in 8-bit
 * integers. Owns the threads and the buffer; the loops stand in probe_x86.c, probe_arm.c and
 * probe_plain.c. Invariant: every figure is the best of several of at most a few milliseconds each,
 * so that what else runs on the machine is seen as little as can be. */
#define _POSIX_C_SOURCE 200809L
#include "probe.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PROBE_LEAST_BYTES = 256 << 20, /* of the buffer, if nobody says */
    PROBE_CACHES = 8,              /* times the caches' size */
    PROBE_WINDOWS = 4,             /* parts of the buffer, read in turn */
    PROBE_SAMPLES = 4,
    PROBE_MAX_LOOPS = 16,
};

struct probe {
    struct sprat__cpu cpu;
    char cap[32]; /* "": none */
    uint8_t *buffer;
    size_t buffer_bytes;
    size_t window; /* the next to be read */
    const struct probe_loops *loops[PROBE_MAX_LOOPS];
    size_t n_loops;
    const struct probe_loops *best; /* of loops, for the int8 rate */
    size_t peak_steps;              /* of best, for about a millisecond */
    uint64_t peak_products;         /* multiply-adds of so many */
};

static double clock_seconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double probe_own_time(void)
{
    return clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}

double probe_now(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct crew {
    void (*part)(void *argument, unsigned thread, unsigned n);
    void *argument;
    unsigned n;
    atomic_uint n_ready;
    atomic_bool is_off;
};

struct crew_member {
    struct crew *crew;
    unsigned thread;
    double begin, end;
};

static void *crew_work(void *argument)
{
    struct crew_member *member = argument;
    struct crew *crew = member->crew;
    atomic_fetch_add(&crew->n_ready, 1);
    while (atomic_load(&crew->n_ready) < crew->n) {
        if (atomic_load(&crew->is_off))
            return NULL;
        (void)sched_yield();
    }
    member->begin = clock_seconds(CLOCK_MONOTONIC);
    crew->part(crew->argument, member->thread, crew->n);
    member->end = clock_seconds(CLOCK_MONOTONIC);
    return NULL;
}

double probe_crew(unsigned n_threads, void (*part)(void *argument, unsigned thread, unsigned n),
                  void *argument)
{
    struct crew crew = {.part = part, .argument = argument, .n = n_threads};
    struct crew_member members[PROBE_MAX_THREADS];
    pthread_t threads[PROBE_MAX_THREADS];
    unsigned n_started = 1;
    for (unsigned i = 0; i < n_threads; i++)
        members[i] = (struct crew_member){&crew, i, 0, 0};
    for (; n_started < n_threads; n_started++)
        if (pthread_create(&threads[n_started], NULL, crew_work, &members[n_started]) != 0)
            break;
    if (n_started == n_threads)
        (void)crew_work(&members[0]);
    else
        atomic_store(&crew.is_off, true);
    double begin = members[0].begin, end = members[0].end;
    for (unsigned i = 1; i < n_started; i++) {
        (void)pthread_join(threads[i], NULL);
        begin = members[i].begin < begin ? members[i].begin : begin;
        end = members[i].end > end ? members[i].end : end;
    }
    return n_started == n_threads ? end - begin : -1;
}

/* ---- the buffer ------------------------------------------------------------------------------ */

/* The largest cache that Linux tells of; 0 if it tells none. */
static uint64_t cache_bytes(void)
{
    uint64_t most = 0;
    for (int i = 0; i < 8; i++) {
        char path[80], text[32] = "";
        uint64_t n = 0;
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        FILE *file = fopen(path, "r");
        if (!file)
            break;
        if (!fgets(text, sizeof text, file))
            text[0] = '\0';
        (void)fclose(file);
        const char *c = text;
        for (; *c >= '0' && *c <= '9'; c++)
            n = n * 10 + (uint64_t)(*c - '0');
        n <<= *c == 'K' ? 10 : *c == 'M' ? 20 : 0;
        most = n > most ? n : most;
    }
    return most;
}

static bool buffer_make(struct probe *probe, uint64_t n_bytes)
{
    uint64_t unit = (uint64_t)PROBE_WINDOWS * PROBE_MAX_THREADS * 4096;
    if (n_bytes == 0) {
        n_bytes = PROBE_CACHES * cache_bytes();
        n_bytes = n_bytes < PROBE_LEAST_BYTES ? PROBE_LEAST_BYTES : n_bytes;
    }
    n_bytes = (n_bytes + unit - 1) / unit * unit;
    void *buffer = NULL;
    if (n_bytes > SIZE_MAX / 2 || posix_memalign(&buffer, 4096, (size_t)n_bytes) != 0)
        return false;
    probe->buffer = buffer;
    probe->buffer_bytes = (size_t)n_bytes;
    uint64_t state = 1;
    for (size_t i = 0; i < probe->buffer_bytes; i += sizeof state) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t word = ((state ^ state >> 29) & 0x1f1f1f1f1f1f1f1fu) | 0x2020202020202020u;
        memcpy(probe->buffer + i, &word, sizeof word);
    }
    return true;
}

const uint8_t *probe_buffer(const struct probe *probe)
{
    return probe->buffer;
}

uint64_t probe_buffer_bytes(const struct probe *probe)
{
    return probe->buffer_bytes;
}

/* ---- the loops ------------------------------------------------------------------------------- */

/* Takes what reading gives, so that it is not left out. */
static _Atomic uint64_t probe_result;

static double peak_once(probe_peak_fn *peak, size_t n)
{
    double begin = probe_own_time();
    uint64_t products = peak(n);
    double seconds = probe_own_time() - begin;
    return seconds > 0 ? 2 * (double)products / seconds : 0;
}

/* How many steps take about a millisecond. */
static size_t peak_steps(probe_peak_fn *peak)
{
    size_t n = 64;
    for (;; n *= 2) {
        double begin = probe_own_time();
        (void)peak(n);
        if (probe_own_time() - begin >= 0.5e-3 || n > SIZE_MAX / 4)
            return n * 2;
    }
}

static double peak_best(probe_peak_fn *peak, int n_samples)
{
    size_t n = peak_steps(peak);
    double best = 0;
    for (int i = 0; i < n_samples; i++) {
        double rate = peak_once(peak, n);
        best = rate > best ? rate : best;
    }
    return best;
}

static void add_loops(struct probe *probe, const struct probe_loops *loops)
{
    for (; loops->set && probe->n_loops < PROBE_MAX_LOOPS; loops++)
        if ((probe->cpu.features & loops->need) == loops->need)
            probe->loops[probe->n_loops++] = loops;
}

/* The place of a set in the library's order; after all of them if there is none of that name. */
static size_t set_place(const char *set)
{
    size_t i = 0;
    while (sprat__kernel_sets[i].name && strcmp(sprat__kernel_sets[i].name, set) != 0)
        i++;
    return i;
}

static void find_best(struct probe *probe)
{
    double most = 0;
    for (size_t i = 0; i < probe->n_loops; i++) {
        if (probe->cap[0] && set_place(probe->loops[i]->set) > set_place(probe->cap))
            continue;
        double rate = peak_best(probe->loops[i]->peak, 2);
        if (!probe->best || rate > most) {
            probe->best = probe->loops[i];
            most = rate;
        }
    }
    probe->peak_steps = peak_steps(probe->best->peak);
    probe->peak_products = probe->best->peak(probe->peak_steps);
}

struct probe *probe_create(const char *cap, uint64_t buffer_bytes)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (!probe || (cap && !sprat__kernel_sets[set_place(cap)].name) ||
        !buffer_make(probe, buffer_bytes)) {
        free(probe);
        return NULL;
    }
    if (cap)
        (void)snprintf(probe->cap, sizeof probe->cap, "%s", cap);
    sprat__cpu_detect(&probe->cpu);
    add_loops(probe, probe_loops_plain);
    add_loops(probe, probe_loops_x86);
    add_loops(probe, probe_loops_arm);
    find_best(probe);
    return probe;
}

void probe_destroy(struct probe *probe)
{
    if (probe)
        free(probe->buffer);
    free(probe);
}

const char *probe_instruction(const struct probe *probe)
{
    return probe->best->instruction;
}

const char *probe_set(const struct probe *probe)
{
    return probe->best->set;
}

const struct sprat__cpu *probe_cpu(const struct probe *probe)
{
    return &probe->cpu;
}

const char *probe_cap(const struct probe *probe)
{
    return probe->cap[0] ? probe->cap : NULL;
}

double probe_set_peak(const struct probe *probe, const char *set, bool is_float)
{
    double best = 0;
    for (size_t i = 0; i < probe->n_loops; i++) {
        if (set_place(probe->loops[i]->set) > set_place(set))
            continue;
        double rate = peak_best(is_float ? probe->loops[i]->float_peak : probe->loops[i]->peak,
                                PROBE_SAMPLES);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* One reading of one window by all threads, each its own part. */
struct probe_reading {
    probe_read_fn *read;
    const uint8_t *data;
    size_t n;
};

static void reading_part(void *argument, unsigned thread, unsigned n)
{
    const struct probe_reading *reading = argument;
    size_t part = reading->n / n / 4096 * 4096;
    atomic_fetch_xor(&probe_result, reading->read(reading->data + thread * part, part));
}

struct probe_peaking {
    const struct probe_loops *loops;
    size_t n;
};

static void peaking_part(void *argument, unsigned thread, unsigned n)
{
    const struct probe_peaking *peaking = argument;
    (void)thread;
    (void)n;
    (void)peaking->loops->peak(peaking->n);
}

/* The reading of the best set: never one beyond the cap. */
static const struct probe_loops *reading_loops(const struct probe *probe, const char *set)
{
    const struct probe_loops *best = probe->loops[0];
    for (size_t i = 0; i < probe->n_loops; i++)
        if (set_place(probe->loops[i]->set) <= set_place(set))
            best = probe->loops[i];
    return best;
}

double probe_set_read(const struct probe *probe, const char *set, const uint8_t *data, size_t n)
{
    const struct probe_loops *loops = reading_loops(probe, set);
    size_t n_rounds = ((size_t)4 << 20) / n + 1;
    double best = 0;
    for (int i = 0; i < 2 * PROBE_SAMPLES; i++) {
        double begin = probe_own_time();
        for (size_t round = 0; round < n_rounds; round++)
            atomic_fetch_xor(&probe_result, (i % 2 ? loops->read_four : loops->read_one)(data, n));
        double seconds = probe_own_time() - begin;
        double rate = seconds > 0 ? (double)n * (double)n_rounds / seconds : 0;
        best = rate > best ? rate : best;
    }
    return best;
}

/* The next part of the buffer: none of it is in a cache. */
static const uint8_t *next_window(struct probe *probe, size_t *n)
{
    *n = probe->buffer_bytes / PROBE_WINDOWS;
    const uint8_t *window = probe->buffer + probe->window * *n;
    probe->window = (probe->window + 1) % PROBE_WINDOWS;
    return window;
}

/* Those of the best set: never one beyond the cap. */
static const struct probe_loops *memory_loops(const struct probe *probe)
{
    return reading_loops(probe, probe->cap[0] ? probe->cap : probe->best->set);
}

double probe_memory_read(struct probe *probe)
{
    const struct probe_loops *loops = memory_loops(probe);
    double best = 0;
    for (int i = 0; i < PROBE_SAMPLES; i++) {
        size_t n = 0;
        const uint8_t *data = next_window(probe, &n);
        double begin = probe_own_time();
        atomic_fetch_xor(&probe_result, (i % 2 ? loops->read_four : loops->read_one)(data, n));
        double seconds = probe_own_time() - begin;
        double rate = seconds > 0 ? (double)n / seconds : 0;
        best = rate > best ? rate : best;
    }
    return best;
}

bool probe_limits(struct probe *probe, unsigned n_threads, struct limits *limits)
{
    const struct probe_loops *loops = memory_loops(probe);
    struct probe_peaking peaking = {probe->best, probe->peak_steps};
    for (int i = 0; i < PROBE_SAMPLES; i++) {
        struct probe_reading reading = {.read = i % 2 ? loops->read_four : loops->read_one};
        reading.data = next_window(probe, &reading.n);
        double seconds = probe_crew(n_threads, reading_part, &reading);
        if (seconds < 0)
            return false;
        double rate = seconds > 0 ? (double)reading.n / seconds : 0;
        limits->read_rate = rate > limits->read_rate ? rate : limits->read_rate;
        seconds = probe_crew(n_threads, peaking_part, &peaking);
        if (seconds < 0)
            return false;
        rate = seconds > 0 ? 2 * (double)n_threads * (double)probe->peak_products / seconds : 0;
        limits->int8_rate = rate > limits->int8_rate ? rate : limits->int8_rate;
    }
    return true;
}
