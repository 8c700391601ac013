/* Checks of attention over one tile, and of what 8-bit rounding leaves of a row. */
#include "checkkernel.h"

#include "kernel/half.h"

#include <string.h>

enum { AREA_Q, AREA_KEYS, AREA_SCORES, AREA_OUT, AREA_COUNTS };
enum { MOST_QUERIES = 27, SCORES = MOST_QUERIES * SPRAT__ATTEND_KEYS };
enum { OUTPUTS = MOST_QUERIES * (SPRAT__ATTEND_DIMS + 3) };

static const size_t dims[] = {64, 128, 1,  2,  7,  8,  15, 16,  17,  24,  31,
                              32, 33,  40, 63, 65, 80, 96, 129, 192, 512, 576};
static const size_t queries[] = {6, 1, 2, 3, 4, 5, 7, 9, 24, MOST_QUERIES};
static const size_t keys[] = {64, 1, 2, 3, 4, 5, 17, 63};
enum { N_DIMS = sizeof dims / sizeof *dims, N_QUERIES = sizeof queries / sizeof *queries };
enum { N_KEYS = sizeof keys / sizeof *keys };

/* One tile: what varies, and memory filled for it. */
struct tile {
    const struct check_pair *pair;
    size_t n_q, n_keys, n_dims, stride;
    int place, kind;
    bool half;
    void *rows; /* keys or values */
    const float *q[MOST_QUERIES];
    size_t counts[MOST_QUERIES]; /* keys that a query sees */
    float factors[4][MOST_QUERIES];
};

typedef bool tile_check(struct tile *at);

static bool tile_failed(const struct tile *at)
{
    return check_differs("at %zu queries, %zu keys, %zu dimensions, place %d, values of kind %d",
                         at->n_q, at->n_keys, at->n_dims, at->place, at->kind);
}

/* Rows of keys end where the last one ends, and its stride does not count. */
static void fill_rows(struct tile *at)
{
    static float floats[SPRAT__ATTEND_KEYS * (SPRAT__ATTEND_DIMS + 3)];
    size_t n = (at->n_keys - 1) * at->stride + at->n_dims;
    size_t unit = at->half ? sizeof(uint16_t) : sizeof(float);
    at->rows = check_place(AREA_KEYS, n * unit, at->place, unit);
    check_fill(floats, n, at->kind);
    for (size_t i = 0; i < n; i++) {
        if (at->half)
            ((uint16_t *)at->rows)[i] = sprat__float_to_half(floats[i]);
        else
            ((float *)at->rows)[i] = floats[i];
    }
}

static void fill_tile(struct tile *at)
{
    size_t q_stride = at->n_dims + 1;
    size_t q_len = (at->n_q - 1) * q_stride + at->n_dims;
    float *q = check_place(AREA_Q, q_len * sizeof *q, at->place, sizeof *q);
    check_fill(q, q_len, at->kind);
    fill_rows(at);
    for (size_t i = 0; i < at->n_q; i++) {
        at->q[i] = q + i * q_stride;
        at->counts[i] = 1 + (size_t)(check_random() >> 33) % at->n_keys;
        if (at->kind == CHECK_ORDINARY)
            at->counts[i] = at->n_keys;
    }
    for (size_t i = 0; i < 4; i++)
        check_fill(at->factors[i], at->n_q, i < 2 ? at->kind : CHECK_ORDINARY);
}

static bool all_tiles(const struct check_pair *pair, bool half, tile_check *one)
{
    size_t n = N_DIMS * N_QUERIES * N_KEYS;
    for (size_t i = 0; i < n; i++) {
        struct tile at = {.pair = pair,
                          .n_dims = dims[i % N_DIMS],
                          .n_q = queries[i / N_DIMS % N_QUERIES],
                          .n_keys = keys[i / N_DIMS / N_QUERIES],
                          .place = check_places[i % CHECK_N_PLACES],
                          .kind = (int)((i + i / N_DIMS) % CHECK_N_KINDS),
                          .half = half};
        at.stride = at.n_dims + (i % 3 ? 0 : 3);
        fill_tile(&at);
        if (!one(&at) || !check_is_untouched(AREA_Q) || !check_is_untouched(AREA_KEYS))
            return tile_failed(&at);
    }
    return true;
}

/* A tile's scores end behind the last key of the last query, and what lies between rows stays. */
static float *place_scores(const struct tile *at, float *expected)
{
    size_t n = (at->n_q - 1) * SPRAT__ATTEND_KEYS + at->n_keys;
    float *scores = check_place(AREA_SCORES, n * sizeof *scores, at->place, sizeof *scores);
    memcpy(expected, scores, n * sizeof *scores);
    return scores;
}

static bool scores_equal(const struct tile *at, const float *expected, const float *scores)
{
    return check_floats_equal(expected, scores, (at->n_q - 1) * SPRAT__ATTEND_KEYS + at->n_keys) &&
           check_is_untouched(AREA_SCORES);
}

static bool one_scores(struct tile *at)
{
    static float expected[SCORES];
    float *scores = place_scores(at, expected);
    for (int i = 0; i < 2; i++) {
        const struct sprat__kernels *kernels = i ? at->pair->tested : at->pair->scalar;
        float *out = i ? scores : expected;
        if (at->half)
            kernels->attend_scores_f16(out, at->q, at->n_q, at->rows, at->stride, at->n_keys,
                                       at->n_dims, 0.125f);
        else
            kernels->attend_scores_f32(out, at->q, at->n_q, at->rows, at->stride, at->n_keys,
                                       at->n_dims, 0.0883883461f);
    }
    return scores_equal(at, expected, scores);
}

static bool one_weights(struct tile *at)
{
    static float expected[SCORES];
    float max[2][MOST_QUERIES], sum[2][MOST_QUERIES];
    float *scores = place_scores(at, expected);
    for (size_t i = 0; i < at->n_q; i++)
        check_fill(scores + i * SPRAT__ATTEND_KEYS, at->n_keys, at->kind);
    memcpy(expected, scores, ((at->n_q - 1) * SPRAT__ATTEND_KEYS + at->n_keys) * sizeof *scores);
    unsigned bits = at->n_dims % 2 ? 13 : 0;
    at->pair->scalar->attend_weights_f32(expected, at->counts, at->n_q, bits, max[0], sum[0]);
    at->pair->tested->attend_weights_f32(scores, at->counts, at->n_q, bits, max[1], sum[1]);
    return scores_equal(at, expected, scores) && check_floats_equal(max[0], max[1], at->n_q) &&
           check_floats_equal(sum[0], sum[1], at->n_q);
}

static bool one_combine(struct tile *at)
{
    float out[2][4][MOST_QUERIES];
    memset(out, 0, sizeof out);
    for (int i = 0; i < 2; i++) {
        const struct sprat__kernels *kernels = i ? at->pair->tested : at->pair->scalar;
        memcpy(out[i][0], at->factors[0], at->n_q * sizeof(float));
        memcpy(out[i][1], at->factors[2], at->n_q * sizeof(float));
        kernels->attend_combine_f32(out[i][0], out[i][1], at->factors[1], at->factors[3], out[i][2],
                                    out[i][3], at->n_q);
    }
    return check_floats_equal(out[0][0], out[1][0], 4 * MOST_QUERIES);
}

/* Outputs lie apart; what is between them stays. */
static bool one_values(struct tile *at)
{
    static float expected[OUTPUTS], weights[SCORES];
    size_t stride = at->n_dims + 3, n = (at->n_q - 1) * stride + at->n_dims;
    float *out = check_place(AREA_OUT, n * sizeof *out, at->place, sizeof *out);
    float *rows[2][MOST_QUERIES];
    check_fill(weights, SCORES, at->kind);
    check_fill(out, n, at->kind);
    memcpy(expected, out, n * sizeof *out);
    for (size_t i = 0; i < at->n_q; i++) {
        rows[0][i] = expected + i * stride;
        rows[1][i] = out + i * stride;
    }
    const float *old = at->n_keys % 2 ? at->factors[0] : NULL, *new = at->factors[2];
    for (int i = 0; i < 2; i++) {
        const struct sprat__kernels *kernels = i ? at->pair->tested : at->pair->scalar;
        if (at->half)
            kernels->attend_values_f16(rows[i], old, new, weights, at->counts, at->n_q, at->rows,
                                       at->stride, at->n_dims);
        else
            kernels->attend_values_f32(rows[i], old, new, weights, at->counts, at->n_q, at->rows,
                                       at->stride, at->n_dims);
    }
    return check_floats_equal(expected, out, n) && check_is_untouched(AREA_OUT);
}

#define CHECK_TILES(kernel, half, one)                                                             \
    static bool check_##kernel(const struct check_pair *pair, const char *row)                     \
    {                                                                                              \
        (void)row;                                                                                 \
        return all_tiles(pair, half, one);                                                         \
    }
CHECK_TILES(attend_scores_f16, true, one_scores)
CHECK_TILES(attend_scores_f32, false, one_scores)
CHECK_TILES(attend_weights_f32, false, one_weights)
CHECK_TILES(attend_combine_f32, false, one_combine)
CHECK_TILES(attend_values_f16, true, one_values)
CHECK_TILES(attend_values_f32, false, one_values)

/* A tile of a 1.5B model at decode: 6 queries, 64 keys of 128. */
struct bench_tile {
    const float *q[6];
    float *out[6];
    size_t counts[6];
    float *scores;
    void *rows;
    float factors[6];
};
enum { BENCH_TIMES = 1000, BENCH_WORK = BENCH_TIMES * 6 * 64 * 128 };

static void bench_fill(struct bench_tile *at, bool half)
{
    size_t unit = half ? sizeof(uint16_t) : sizeof(float);
    float *q = check_place(AREA_Q, 6 * 128 * sizeof *q, 0, sizeof *q);
    float *out = check_place(AREA_OUT, 6 * 128 * sizeof *out, 0, sizeof *out);
    at->rows = check_place(AREA_KEYS, 64 * 128 * unit, 0, unit);
    at->scores = check_place(AREA_SCORES, 6 * 64 * sizeof *q, 0, sizeof *q);
    memset(at->rows, 0x11, 64 * 128 * unit);
    check_fill(q, 6 * 128, CHECK_ORDINARY);
    check_fill(out, 6 * 128, CHECK_ORDINARY);
    check_fill(at->scores, 6 * 64, CHECK_ORDINARY);
    for (size_t i = 0; i < 6; i++) {
        at->q[i] = q + i * 128;
        at->out[i] = out + i * 128;
        at->counts[i] = 64;
        at->factors[i] = 0.5f;
    }
}

#define BENCH_TILE(kernel, half, work, ...)                                                        \
    static double bench_##kernel(const struct sprat__kernels *kernels)                             \
    {                                                                                              \
        struct bench_tile at;                                                                      \
        bench_fill(&at, half);                                                                     \
        for (int i = 0; i < BENCH_TIMES; i++)                                                      \
            kernels->kernel(__VA_ARGS__);                                                          \
        return work;                                                                               \
    }
BENCH_TILE(attend_scores_f16, true, BENCH_WORK, at.scores, at.q, 6, at.rows, 128, 64, 128, 0.125f)
BENCH_TILE(attend_scores_f32, false, BENCH_WORK, at.scores, at.q, 6, at.rows, 128, 64, 128, 0.125f)
BENCH_TILE(attend_values_f16, true, BENCH_WORK, at.out, at.factors, at.factors, at.scores,
           at.counts, 6, at.rows, 128, 128)
BENCH_TILE(attend_values_f32, false, BENCH_WORK, at.out, at.factors, at.factors, at.scores,
           at.counts, 6, at.rows, 128, 128)

/* Each time on what the last time left: weights that stay between 0 and 1. */
static double bench_attend_weights_f32(const struct sprat__kernels *kernels)
{
    struct bench_tile at;
    float max[6], sum[6];
    bench_fill(&at, true);
    for (int i = 0; i < BENCH_TIMES; i++)
        kernels->attend_weights_f32(at.scores, at.counts, 6, 13, max, sum);
    return (double)BENCH_TIMES * 6 * 64;
}

/* rest_32 and rest_256: rows in whole blocks. */
static bool one_rest(const struct check_pair *pair, size_t n, int place, int kind, bool is_256)
{
    static float expected[8960];
    static float scales[8960 / 32];
    static uint8_t shifts[8960 / 32];
    float *x = check_place(AREA_Q, n * sizeof *x, place, sizeof *x);
    int8_t *q = check_place(AREA_KEYS, n, place, 1);
    float *y = check_place(AREA_OUT, n * sizeof *y, place, sizeof *y);
    check_fill(x, n, kind);
    check_fill(scales, n / 32, kind);
    for (size_t i = 0; i < n; i++)
        q[i] = (int8_t)(check_random() >> 40);
    for (size_t i = 0; i < n / 32; i++)
        shifts[i] = (uint8_t)(check_random() >> 40 & 3);
    if (is_256) {
        pair->scalar->rest_256(expected, x, q, scales, shifts, n);
        pair->tested->rest_256(y, x, q, scales, shifts, n);
    } else {
        pair->scalar->rest_32(expected, x, q, scales, n);
        pair->tested->rest_32(y, x, q, scales, n);
    }
    return (check_floats_equal(expected, y, n) && check_is_untouched(AREA_OUT)) ||
           check_differs("at n %zu, place %d, values of kind %d", n, place, kind);
}

static bool check_rest(const struct check_pair *pair, const char *row)
{
    bool is_256 = strcmp(row, "rest_256") == 0;
    for (size_t n = 0; n <= 8960; n += is_256 ? 256 : n < 128 ? 32 : 736) {
        for (int i = 0; i < CHECK_N_PLACES * CHECK_N_KINDS; i++) {
            if (!one_rest(pair, n, check_places[i % CHECK_N_PLACES], i / CHECK_N_PLACES, is_256))
                return false;
        }
    }
    return true;
}

#define ROW(kernel, unit)                                                                          \
    {                                                                                              \
#kernel, check_##kernel, bench_##kernel, unit                                              \
    }
const struct check checks_attend[] = {
    ROW(attend_scores_f16, "GMAC/s"),
    ROW(attend_scores_f32, "GMAC/s"),
    ROW(attend_weights_f32, "Gelements/s"),
    {"attend_combine_f32", check_attend_combine_f32, NULL, NULL},
    ROW(attend_values_f16, "GMAC/s"),
    ROW(attend_values_f32, "GMAC/s"),
    {"rest_32", check_rest, NULL, NULL},
    {"rest_256", check_rest, NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
