/* Rows of numbers and attention: how each such kernel is called to be measured, and the data. */
#include "bench_rows.h"

#include <stdlib.h>
#include <string.h>

/* Attention: the heads that share a key times a few tokens; the width of a head. */
enum { CASE_QUERIES = 24, CASE_DIMS = 128 };

static volatile float case_result;

#define ROW_CASE(name, call)                                                                       \
    static void case_##name(const struct sprat__kernels *kernels, const struct area *area)         \
    {                                                                                              \
        const size_t n = CASE_FLOATS;                                                              \
        call;                                                                                      \
    }
ROW_CASE(dot_f32, case_result = kernels->dot_f32(area->a, area->b, n))
ROW_CASE(sum_squares_f32, case_result = kernels->sum_squares_f32(area->a, n))
ROW_CASE(rms_norm_f32, kernels->rms_norm_f32(area->c, area->a, area->b, n, 1e-5f))
ROW_CASE(silu_mul_f32, memcpy(area->c, area->a, n * sizeof(float));
         kernels->silu_mul_f32(area->c, area->b, n))
ROW_CASE(add_f32, kernels->add_f32(area->c, area->a, n))
ROW_CASE(axpy_f32, kernels->axpy_f32(area->c, 0.5f, area->a, n))
ROW_CASE(scale_f32, kernels->scale_f32(area->c, 1.0f, n))
ROW_CASE(exp_sum_f32, memcpy(area->c, area->a, n * sizeof(float));
         case_result = kernels->exp_sum_f32(area->c, 1.0f, n))
ROW_CASE(max_f32, case_result = kernels->max_f32(area->a, n))
ROW_CASE(rope_adjacent_f32, kernels->rope_adjacent_f32(area->c, area->a, area->b, n))
ROW_CASE(rope_halves_f32, kernels->rope_halves_f32(area->c, area->a, area->b, n))
ROW_CASE(f32_to_f16, kernels->f32_to_f16(area->half, area->a, n))
ROW_CASE(f16_to_f32, kernels->f16_to_f32(area->c, area->half, n))
ROW_CASE(round_f32, kernels->round_f32(area->c, n, 13))
ROW_CASE(quantize_32,
         kernels->quantize_32(area->acts.q, area->acts.scale, area->acts.sums, area->a, n))
ROW_CASE(quantize_256, kernels->quantize_256(area->acts.q, area->acts.scale, area->acts.sums,
                                             area->acts.shift, area->a, n))
ROW_CASE(rest_32, kernels->rest_32(area->c, area->a, area->acts.q, area->acts.scale, n))
ROW_CASE(rest_256,
         kernels->rest_256(area->c, area->a, area->acts.q, area->acts.scale, area->acts.shift, n))

/* The queries, or what becomes of them, and how many keys each sees: all. */
struct attend_rows {
    const float *q[CASE_QUERIES];
    float *out[CASE_QUERIES];
    size_t n_keys[CASE_QUERIES];
};

static void attend_rows(struct attend_rows *rows, const struct area *area)
{
    for (size_t i = 0; i < CASE_QUERIES; i++) {
        rows->q[i] = area->a + i * CASE_DIMS;
        rows->out[i] = area->y + CASE_QUERIES * SPRAT__ATTEND_KEYS + i * CASE_DIMS;
        rows->n_keys[i] = SPRAT__ATTEND_KEYS;
    }
}

#define ATTEND_CASE(name, call)                                                                    \
    static void case_##name(const struct sprat__kernels *kernels, const struct area *area)         \
    {                                                                                              \
        struct attend_rows rows;                                                                   \
        attend_rows(&rows, area);                                                                  \
        call;                                                                                      \
    }
ATTEND_CASE(attend_scores_f16,
            kernels->attend_scores_f16(area->y, rows.q, CASE_QUERIES, area->half, CASE_DIMS,
                                       SPRAT__ATTEND_KEYS, CASE_DIMS, 0.1f))
ATTEND_CASE(attend_scores_f32,
            kernels->attend_scores_f32(area->y, rows.q, CASE_QUERIES, area->a, CASE_DIMS,
                                       SPRAT__ATTEND_KEYS, CASE_DIMS, 0.1f))
ATTEND_CASE(attend_weights_f32,
            memcpy(area->y, area->a, CASE_QUERIES *SPRAT__ATTEND_KEYS * sizeof(float));
            kernels->attend_weights_f32(area->y, rows.n_keys, CASE_QUERIES, 13, area->c,
                                        area->c + CASE_QUERIES))
ATTEND_CASE(attend_combine_f32,
            kernels->attend_combine_f32(area->c, area->c + CASE_QUERIES, area->b, area->b,
                                        area->c + 2 * CASE_QUERIES, area->c + 3 * CASE_QUERIES,
                                        CASE_QUERIES))
ATTEND_CASE(attend_values_f16,
            kernels->attend_values_f16(rows.out, NULL, NULL, area->a, rows.n_keys, CASE_QUERIES,
                                       area->half, CASE_DIMS, CASE_DIMS))
ATTEND_CASE(attend_values_f32,
            kernels->attend_values_f32(rows.out, NULL, NULL, area->a, rows.n_keys, CASE_QUERIES,
                                       area->a, CASE_DIMS, CASE_DIMS))

#define ROW(name, bytes)                                                                           \
    {                                                                                              \
#name, (bytes) * (double)CASE_FLOATS, 0, case_##name                                       \
    }
#define ATTEND_ROW(name, bytes, operations)                                                        \
    {                                                                                              \
#name, bytes, operations, case_##name                                                      \
    }
#define ATTEND_OPERATIONS (2.0 * CASE_QUERIES * SPRAT__ATTEND_KEYS * CASE_DIMS)

static const struct row_case row_cases[] = {
    ROW(dot_f32, 8),
    ROW(sum_squares_f32, 4),
    ROW(rms_norm_f32, 12),
    ROW(silu_mul_f32, 12),
    ROW(add_f32, 12),
    ROW(axpy_f32, 12),
    ROW(scale_f32, 8),
    ROW(exp_sum_f32, 8),
    ROW(max_f32, 4),
    ROW(rope_adjacent_f32, 12),
    ROW(rope_halves_f32, 12),
    ROW(f32_to_f16, 6),
    ROW(f16_to_f32, 6),
    ROW(round_f32, 8),
    ROW(quantize_32, 5),
    ROW(quantize_256, 5),
    ROW(rest_32, 9),
    ROW(rest_256, 9),
    ATTEND_ROW(attend_scores_f16, 0, ATTEND_OPERATIONS),
    ATTEND_ROW(attend_scores_f32, 0, ATTEND_OPERATIONS),
    ATTEND_ROW(attend_weights_f32, 8.0 * CASE_QUERIES * SPRAT__ATTEND_KEYS, 0),
    ATTEND_ROW(attend_combine_f32, 32.0 * CASE_QUERIES, 0),
    ATTEND_ROW(attend_values_f16, 0, ATTEND_OPERATIONS),
    ATTEND_ROW(attend_values_f32, 0, ATTEND_OPERATIONS),
};

const struct row_case *row_case_of(const char *kernel)
{
    for (size_t i = 0; i < sizeof row_cases / sizeof *row_cases; i++)
        if (strcmp(row_cases[i].name, kernel) == 0)
            return &row_cases[i];
    return NULL;
}

/* ---- the data -------------------------------------------------------------------------------- */

static void fill(struct area *area)
{
    size_t n = (size_t)CASE_COLUMNS * CASE_K;
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        area->acts.q[i] = (int8_t)((int)(state >> 24) % 127);
        area->a[i] = (float)((int)(state >> 16) % 2001 - 1000) * 1e-3f;
        area->half[i] = (uint16_t)(0x3800 + i % 1024);
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
    }
}

void area_end(struct area *area)
{
    void *all[] = {area->acts.q, area->acts.scale, area->acts.sums, area->acts.shift, area->y,
                   area->a,      area->b,          area->c,         area->half};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

bool area_make(struct area *area, struct probe *probe)
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
    area->half = calloc(n, sizeof(uint16_t));
    if (!area->acts.q || !area->acts.scale || !area->acts.sums || !area->acts.shift || !area->y ||
        !area->a || !area->b || !area->c || !area->half)
        return false;
    fill(area);
    return true;
}
