/* The speed of every kernel as every set of this processor has it: each row of kernel.def by its
 * name. Invariant: a figure is the best of many short runs, and its limit is measured beside it. A
 * row that nobody has written a case for is listed without a figure. */
#include "probe.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CASE_K = 1536,      /* columns of weights: those of a 1.5B model */
    CASE_ROWS = 512,    /* rows of weights against many rows of activations */
    CASE_COLUMNS = 512, /* these */
    CASE_FLOATS = 4096, /* of rows of numbers: what the first cache holds */
};

/* Shares of a second: what a case may take in all, and one run of it. */
static const double case_seconds = 0.04, run_seconds = 0.005;

struct area {
    struct probe *probe;
    uint32_t n_runs; /* 0: by time */
    const uint8_t *weights;
    size_t weights_bytes;
    struct sprat__acts acts; /* CASE_COLUMNS rows of CASE_K */
    float *y;                /* n_y floats */
    size_t n_y;
    float *a, *b, *c; /* CASE_FLOATS each, and the weights of matmul_f32 behind a */
    uint16_t *half;   /* CASE_FLOATS */
};

/* ---- rows of numbers ------------------------------------------------------------------------- */

struct vector_case {
    const char *name;
    size_t bytes; /* read and written for each number */
    void (*run)(const struct sprat__kernels *kernels, const struct area *area);
};

static volatile float case_result;

#define VECTOR_CASE(name, call)                                                                    \
    static void case_##name(const struct sprat__kernels *kernels, const struct area *area)         \
    {                                                                                              \
        const size_t n = CASE_FLOATS;                                                              \
        call;                                                                                      \
    }
VECTOR_CASE(dot_f32, case_result = kernels->dot_f32(area->a, area->b, n))
VECTOR_CASE(sum_squares_f32, case_result = kernels->sum_squares_f32(area->a, n))
VECTOR_CASE(rms_norm_f32, kernels->rms_norm_f32(area->c, area->a, area->b, n, 1e-5f))
VECTOR_CASE(silu_mul_f32, memcpy(area->c, area->a, n * sizeof(float));
            kernels->silu_mul_f32(area->c, area->b, n))
VECTOR_CASE(add_f32, kernels->add_f32(area->c, area->a, n))
VECTOR_CASE(axpy_f32, kernels->axpy_f32(area->c, 0.5f, area->a, n))
VECTOR_CASE(scale_f32, kernels->scale_f32(area->c, 1.0f, n))
VECTOR_CASE(exp_sum_f32, memcpy(area->c, area->a, n * sizeof(float));
            case_result = kernels->exp_sum_f32(area->c, 1.0f, n))
VECTOR_CASE(max_f32, case_result = kernels->max_f32(area->a, n))
VECTOR_CASE(rope_adjacent_f32, kernels->rope_adjacent_f32(area->c, area->a, area->b, n))
VECTOR_CASE(rope_halves_f32, kernels->rope_halves_f32(area->c, area->a, area->b, n))
VECTOR_CASE(f32_to_f16, kernels->f32_to_f16(area->half, area->a, n))
VECTOR_CASE(f16_to_f32, kernels->f16_to_f32(area->c, area->half, n))
VECTOR_CASE(round_f32, kernels->round_f32(area->c, n, 13))
VECTOR_CASE(quantize_32,
            kernels->quantize_32(area->acts.q, area->acts.scale, area->acts.sums, area->a, n))
VECTOR_CASE(quantize_256, kernels->quantize_256(area->acts.q, area->acts.scale, area->acts.sums,
                                                area->acts.shift, area->a, n))
VECTOR_CASE(rest_32, kernels->rest_32(area->c, area->a, area->acts.q, area->acts.scale, n))
VECTOR_CASE(rest_256, kernels->rest_256(area->c, area->a, area->acts.q, area->acts.scale,
                                        area->acts.shift, n))

#define VECTOR_ROW(name, bytes)                                                                    \
    {                                                                                              \
#name, bytes, case_##name                                                                  \
    }
static const struct vector_case vector_cases[] = {
    VECTOR_ROW(dot_f32, 8),          VECTOR_ROW(sum_squares_f32, 4),
    VECTOR_ROW(rms_norm_f32, 12),    VECTOR_ROW(silu_mul_f32, 12),
    VECTOR_ROW(add_f32, 12),         VECTOR_ROW(axpy_f32, 12),
    VECTOR_ROW(scale_f32, 8),        VECTOR_ROW(exp_sum_f32, 8),
    VECTOR_ROW(max_f32, 4),          VECTOR_ROW(rope_adjacent_f32, 12),
    VECTOR_ROW(rope_halves_f32, 12), VECTOR_ROW(f32_to_f16, 6),
    VECTOR_ROW(f16_to_f32, 6),       VECTOR_ROW(round_f32, 8),
    VECTOR_ROW(quantize_32, 5),      VECTOR_ROW(quantize_256, 5),
    VECTOR_ROW(rest_32, 9),          VECTOR_ROW(rest_256, 9),
};

/* ---- time ------------------------------------------------------------------------------------ */

/* One thing to be timed: n units of it; a unit is what a caller says it is. */
struct timed {
    const struct area *area;
    const struct sprat__kernels *kernels;
    const struct vector_case *vector;
    const struct sprat__dtype_info *type;
    uint32_t type_id;
    size_t row_bytes, n_columns;
    size_t row; /* the next row of weights */
};

typedef void timed_fn(struct timed *t, size_t n);

static double time_once(struct timed *t, timed_fn *run, size_t n)
{
    double begin = probe_own_time();
    run(t, n);
    return probe_own_time() - begin;
}

/* Units a second, the best of many runs of at most n_most units and about run_seconds each. */
static double best_rate(struct timed *t, timed_fn *run, size_t n_least, size_t n_most)
{
    size_t n = n_least;
    double seconds = time_once(t, run, n), begin = probe_own_time(), best = 0;
    seconds = time_once(t, run, n);
    while (n < n_most && seconds < run_seconds / 2) {
        n = 2 * n < n_most ? 2 * n : n_most;
        seconds = time_once(t, run, n);
    }
    uint32_t n_runs = t->area->n_runs, n_least_runs = n_runs ? n_runs : 3;
    for (uint32_t i = 0; i < n_least_runs || (!n_runs && probe_own_time() - begin < case_seconds);
         i++) {
        seconds = time_once(t, run, n);
        if (seconds > 0 && (double)n / seconds > best)
            best = (double)n / seconds;
    }
    return best;
}

static void run_vector(struct timed *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->vector->run(t->kernels, t->area);
}

static void run_dequant(struct timed *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->kernels->dequant[t->type_id](t->area->c, t->area->weights, CASE_FLOATS);
}

/* n rows of weights, from where the last run ended, so that no cache holds them. */
static void run_rows(struct timed *t, size_t n)
{
    size_t n_rows = t->area->weights_bytes / t->row_bytes;
    if (t->row + n > n_rows)
        t->row = 0;
    t->kernels->matmul_i8[t->type_id](t->area->y, n, t->area->weights + t->row * t->row_bytes,
                                      t->row_bytes, n, &t->area->acts, 1, CASE_K);
    t->row += n;
}

static void run_columns(struct timed *t, size_t n)
{
    t->kernels->matmul_i8[t->type_id](t->area->y, n, t->area->weights, t->row_bytes, n,
                                      &t->area->acts, CASE_COLUMNS, CASE_K);
}

static void run_floats(struct timed *t, size_t n)
{
    t->kernels->matmul_f32(t->area->y, n, (const uint8_t *)(const void *)t->area->a,
                           CASE_K * sizeof(float), sizeof(float), 1,
                           t->kernels->dequant[SPRAT__F32], n, t->area->a, CASE_K, CASE_COLUMNS,
                           CASE_K);
}

/* ---- one row of kernel.def ------------------------------------------------------------------- */

typedef int figure_taker(void *user, const struct kernel_figure *figure);

struct listing {
    struct area area;
    figure_taker *take;
    void *user;
    struct sprat__kernels kernels; /* of the set that is measured */
    const char *set;
    double peak, cache_rate; /* of the set: operations, and bytes out of the first cache */
};

/* The type whose name in small letters is name; NULL if there is none. */
static const struct sprat__dtype_info *type_of(const char *name, uint32_t *id)
{
    for (*id = 0; *id < SPRAT__N_DTYPES; ++*id) {
        const struct sprat__dtype_info *info = sprat__dtype_info(*id);
        size_t i = 0;
        while (info && name[i] != '\0' && tolower((unsigned char)info->name[i]) == name[i])
            i++;
        if (info && name[i] == '\0' && info->name[i] == '\0')
            return info;
    }
    return NULL;
}

static int give(struct listing *list, const char *kernel, const char *what, double rate,
                double limit, bool is_bytes)
{
    struct kernel_figure figure = {kernel,  list->set, what, rate, limit > 0 ? rate / limit : 0,
                                   is_bytes};
    return list->take(list->user, &figure);
}

static int list_matmul_i8(struct listing *list, const char *kernel, struct timed *t)
{
    t->row_bytes = CASE_K / t->type->block_elements * t->type->block_bytes;
    size_t n_rows = list->area.weights_bytes / t->row_bytes / 4;
    n_rows = n_rows < list->area.n_y ? n_rows : list->area.n_y;
    double before = probe_memory_read(list->area.probe);
    double rate = best_rate(t, run_rows, 256, n_rows) * (double)t->row_bytes;
    double after = probe_memory_read(list->area.probe);
    int bad = give(list, kernel, "memory", rate, before > after ? before : after, true);
    if (bad)
        return bad;
    rate = best_rate(t, run_columns, 16, CASE_ROWS) * 2.0 * CASE_K * CASE_COLUMNS;
    double peak = probe_set_peak(list->area.probe, list->set);
    list->peak = peak > list->peak ? peak : list->peak;
    return give(list, kernel, "n=512", rate, list->peak, false);
}

static int list_row(struct listing *list, const char *kernel)
{
    struct timed t = {.area = &list->area, .kernels = &list->kernels};
    if (strncmp(kernel, "matmul_i8_", 10) == 0 && (t.type = type_of(kernel + 10, &t.type_id)))
        return list_matmul_i8(list, kernel, &t);
    if (strncmp(kernel, "dequant_", 8) == 0 && (t.type = type_of(kernel + 8, &t.type_id))) {
        double bytes = 4 + (double)t.type->block_bytes / t.type->block_elements;
        double rate = best_rate(&t, run_dequant, 1, 1 << 20) * CASE_FLOATS * bytes;
        return give(list, kernel, "cache", rate, list->cache_rate, true);
    }
    if (strcmp(kernel, "matmul_f32") == 0) {
        double rate = best_rate(&t, run_floats, 16, CASE_ROWS) * 2.0 * CASE_K * CASE_COLUMNS;
        return give(list, kernel, "n=512", rate, 0, false);
    }
    for (size_t i = 0; i < sizeof vector_cases / sizeof *vector_cases; i++) {
        t.vector = &vector_cases[i];
        if (strcmp(t.vector->name, kernel) != 0)
            continue;
        double rate = best_rate(&t, run_vector, 1, 1 << 20) * CASE_FLOATS * (double)t.vector->bytes;
        return give(list, kernel, "cache", rate, list->cache_rate, true);
    }
    return give(list, kernel, "-", 0, 0, false);
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* Each row that the set changes against the set before it. */
static int list_set(struct listing *list, const struct sprat__kernels *before)
{
    int bad = 0;
    const uint8_t *data = probe_buffer(list->area.probe);
    list->peak = probe_set_peak(list->area.probe, list->set);
    list->cache_rate =
        probe_set_read(list->area.probe, list->set, data, CASE_FLOATS * sizeof(float));
#define SPRAT__KERNEL(name, result, parameters)                                                    \
    if (!bad && (!before || before->name != list->kernels.name))                                   \
        bad = list_row(list, #name);
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    return bad;
}

static void fill(struct area *area)
{
    size_t n = (size_t)CASE_COLUMNS * CASE_K;
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        area->acts.q[i] = (int8_t)((int)(state >> 24) % 127);
        area->a[i] = (float)((int)(state >> 16) % 2001 - 1000) * 1e-3f;
    }
    for (size_t i = 0; i < n / 16; i++) {
        int sum = 0;
        for (size_t j = 0; j < 16; j++)
            sum += area->acts.q[16 * i + j];
        area->acts.sums[i] = (int16_t)sum;
        area->acts.scale[i / 2] = 0.01f;
        area->acts.shift[i / 2] = (uint8_t)(i / 2 % 4);
    }
    for (size_t i = 0; i < CASE_FLOATS; i++) {
        area->b[i] = (float)(i % 100) * 0.01f;
        area->c[i] = 0.5f;
        area->half[i] = (uint16_t)(0x3800 + i % 1024);
    }
}

static void area_end(struct area *area)
{
    void *all[] = {area->acts.q, area->acts.scale, area->acts.sums, area->acts.shift, area->y,
                   area->a,      area->b,          area->c,         area->half};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static bool area_make(struct area *area, struct probe *probe)
{
    size_t n = (size_t)CASE_COLUMNS * CASE_K;
    memset(area, 0, sizeof *area);
    area->probe = probe;
    area->weights = probe_buffer(probe);
    area->weights_bytes = (size_t)probe_buffer_bytes(probe);
    area->n_y = (size_t)1 << 20;
    area->acts.q = calloc(n, 1);
    area->acts.scale = calloc(n / 32, sizeof(float));
    area->acts.sums = calloc(n / 16, sizeof(int16_t));
    area->acts.shift = calloc(n / 32, 1);
    area->y = calloc(area->n_y, sizeof(float));
    area->a = calloc(n, sizeof(float));
    area->b = calloc(CASE_FLOATS, sizeof(float));
    area->c = calloc(CASE_FLOATS, sizeof(float));
    area->half = calloc(CASE_FLOATS, sizeof(uint16_t));
    if (!area->acts.q || !area->acts.scale || !area->acts.sums || !area->acts.shift || !area->y ||
        !area->a || !area->b || !area->c || !area->half)
        return false;
    fill(area);
    return true;
}

/* How far a set stands in the order of all; those beyond the cap are left out. */
static bool is_within(const char *set, const char *cap)
{
    for (const struct sprat__kernel_set *s = sprat__kernel_sets; cap && s->name; s++) {
        if (strcmp(s->name, set) == 0)
            return true;
        if (strcmp(s->name, cap) == 0)
            return false;
    }
    return true;
}

int kernel_figures(struct probe *probe, uint32_t n_runs, figure_taker *take, void *user)
{
    struct listing list = {.take = take, .user = user};
    struct sprat__kernels before;
    int bad = area_make(&list.area, probe) ? 0 : -1;
    list.area.n_runs = n_runs;
    for (const struct sprat__kernel_set *s = sprat__kernel_sets; s->name && !bad; s++) {
        bool is_first = s == sprat__kernel_sets;
        if (!is_first && strcmp(s->name, s[-1].name) == 0)
            continue; /* taken together with the one before */
        if (!is_within(s->name, probe_cap(probe)))
            break;
        list.set = s->name;
        (void)sprat__kernels_init(&list.kernels, probe_cpu(probe), s->name);
        bad = list_set(&list, is_first ? NULL : &before);
        before = list.kernels;
    }
    area_end(&list.area);
    return bad;
}
