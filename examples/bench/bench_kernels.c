/* The speed of every kernel as every set of this processor has it: each row of kernel.def by its
 * name. Leaves rows of numbers and attention to bench_rows.c. Invariant: a figure is the best of
 * many short runs, and its limit is measured beside it. A row that nobody has written a case for is
 * listed without a figure. */
#include "bench_rows.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shares of a second: what a case may take in all, and one run of it. */
static const double case_seconds = 0.04, run_seconds = 0.005;

/* ---- time ------------------------------------------------------------------------------------ */

/* One thing to be timed: n units of it; a unit is what a caller says it is. */
struct timed {
    const struct area *area;
    const struct sprat__kernels *kernels;
    const struct row_case *row_case;
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

static void run_row_case(struct timed *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->row_case->run(t->kernels, t->area);
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
    double int8_peak, float_peak, cache_rate; /* of the set, the best seen */
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

/* The limits beside a figure; where nothing is repeated they are measured once. */
static double int8_peak(struct listing *list)
{
    if (list->int8_peak > 0 && list->area.n_runs == 1)
        return list->int8_peak;
    double rate = probe_set_peak(list->area.probe, list->set, false);
    list->int8_peak = rate > list->int8_peak ? rate : list->int8_peak;
    return list->int8_peak;
}

static double float_peak(struct listing *list)
{
    if (list->float_peak > 0 && list->area.n_runs == 1)
        return list->float_peak;
    double rate = probe_set_peak(list->area.probe, list->set, true);
    list->float_peak = rate > list->float_peak ? rate : list->float_peak;
    return list->float_peak;
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
    return give(list, kernel, "n=512", rate, int8_peak(list), false);
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
        return give(list, kernel, "n=512", rate, float_peak(list), false);
    }
    t.row_case = row_case_of(kernel);
    if (t.row_case) {
        double rate = best_rate(&t, run_row_case, 1, 1 << 20);
        if (t.row_case->operations > 0)
            return give(list, kernel, "cache", rate * t.row_case->operations, float_peak(list),
                        false);
        return give(list, kernel, "cache", rate * t.row_case->bytes, list->cache_rate, true);
    }
    return give(list, kernel, "-", 0, 0, false);
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* Each row that the set changes against the set before it. */
static int list_set(struct listing *list, const struct sprat__kernels *before)
{
    int bad = 0;
    const uint8_t *data = probe_buffer(list->area.probe);
    list->int8_peak = list->float_peak = 0;
    list->cache_rate =
        probe_set_read(list->area.probe, list->set, data, CASE_FLOATS * sizeof(float));
#define SPRAT__KERNEL(name, result, parameters)                                                    \
    if (!bad && (!before || before->name != list->kernels.name))                                   \
        bad = list_row(list, #name);
#include "kernel/kernel.def"
#undef SPRAT__KERNEL
    return bad;
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
