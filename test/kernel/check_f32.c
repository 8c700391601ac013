/* Checks of the kernels on binary32 and binary16: products, rows, conversions, unpacking. */
#include "checkkernel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AREA_X, AREA_Y, AREA_Z, AREA_W, MOST = 8960 };

static float expected[MOST], start[MOST];

/* One case of a kernel on rows: all that varies. */
struct row_case {
    const struct check_pair *pair;
    size_t n;
    int place, kind;
    float factor;       /* ordinary, or an extreme */
    const float *x, *z; /* inputs */
    float *y;           /* in and out */
};

typedef bool row_check(struct row_case *at);

static bool row_failed(const struct row_case *at)
{
    return check_differs("at n %zu, place %d, values of kind %d, factor %a", at->n, at->place,
                         at->kind, (double)at->factor);
}

/* All lengths, places and kinds; objects lie differently in the same case. */
static bool all_rows(const struct check_pair *pair, row_check *one)
{
    static const float factors[] = {0.37f, -0.0f, 0x1p-149f, 0x1.fffffep127f};
    for (size_t i = 0; i < check_n_lengths() * CHECK_N_PLACES * CHECK_N_KINDS; i++) {
        struct row_case at = {.pair = pair,
                              .n = check_length(i / (CHECK_N_PLACES * CHECK_N_KINDS)),
                              .place = check_places[i % CHECK_N_PLACES],
                              .kind = (int)(i / CHECK_N_PLACES % CHECK_N_KINDS)};
        at.factor = at.kind == CHECK_ORDINARY ? factors[0] : factors[check_random() % 4];
        int other = check_places[(i + 1) % CHECK_N_PLACES];
        int third = check_places[(i + 2) % CHECK_N_PLACES];
        float *x = check_place(AREA_X, at.n * sizeof *x, other, sizeof *x);
        float *z = check_place(AREA_Z, at.n * sizeof *z, third, sizeof *z);
        at.y = check_place(AREA_Y, at.n * sizeof *at.y, at.place, sizeof *at.y);
        check_fill(x, at.n, at.kind);
        check_fill(z, at.n, at.kind);
        check_fill(start, at.n, at.kind);
        memcpy(at.y, start, at.n * sizeof *start);
        memcpy(expected, start, at.n * sizeof *start);
        at.x = x;
        at.z = z;
        if (!one(&at) || !check_is_untouched(AREA_X) || !check_is_untouched(AREA_Y) ||
            !check_is_untouched(AREA_Z))
            return row_failed(&at);
    }
    return true;
}

/* The checks of one kernel: the scalar result, the tested one, equal. */
#define ROW_VOID(kernel, ...)                                                                      \
    static bool one_##kernel(struct row_case *at)                                                  \
    {                                                                                              \
        float *y = expected;                                                                       \
        at->pair->scalar->kernel(__VA_ARGS__);                                                     \
        y = at->y;                                                                                 \
        at->pair->tested->kernel(__VA_ARGS__);                                                     \
        return check_floats_equal(expected, at->y, at->n);                                         \
    }                                                                                              \
    static bool check_##kernel(const struct check_pair *pair, const char *row)                     \
    {                                                                                              \
        (void)row;                                                                                 \
        return all_rows(pair, one_##kernel);                                                       \
    }
#define ROW_FLOAT(kernel, ...)                                                                     \
    static bool one_##kernel(struct row_case *at)                                                  \
    {                                                                                              \
        float *y = expected;                                                                       \
        float scalar = at->pair->scalar->kernel(__VA_ARGS__);                                      \
        y = at->y;                                                                                 \
        float tested = at->pair->tested->kernel(__VA_ARGS__);                                      \
        return check_floats_equal(&scalar, &tested, 1) &&                                          \
               check_floats_equal(expected, at->y, at->n);                                         \
    }                                                                                              \
    static bool check_##kernel(const struct check_pair *pair, const char *row)                     \
    {                                                                                              \
        (void)row;                                                                                 \
        return all_rows(pair, one_##kernel);                                                       \
    }

ROW_FLOAT(dot_f32, y, at->x, at->n)
ROW_FLOAT(sum_squares_f32, y, at->n)
ROW_FLOAT(exp_sum_f32, y, at->kind == CHECK_ORDINARY ? 1.5f : at->factor, at->n)
ROW_FLOAT(max_f32, y, at->n)
ROW_VOID(silu_mul_f32, y, at->x, at->n)
ROW_VOID(add_f32, y, at->x, at->n)
ROW_VOID(axpy_f32, y, at->factor, at->x, at->n)
ROW_VOID(scale_f32, y, at->factor, at->n)
ROW_VOID(rope_adjacent_f32, y, at->x, at->z, at->n & ~(size_t)1)
ROW_VOID(rope_halves_f32, y, at->x, at->z, at->n & ~(size_t)1)

static bool one_first_f32(struct row_case *at)
{
    /* The largest more than once, and NaN among them. */
    size_t n = at->n;
    if (n > 2 && at->factor > 0) {
        at->y[n / 2] = at->y[check_random() % n];
        at->y[check_random() % n] = NAN;
    }
    size_t first = at->pair->scalar->first_f32(at->y, n);
    size_t tested = at->pair->tested->first_f32(at->y, n);
    return first == tested || check_differs("element %zu, not %zu", tested, first);
}

static bool check_first_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    return all_rows(pair, one_first_f32);
}

static bool one_all_at_most_f32(struct row_case *at)
{
    float limits[] = {at->n ? sprat__max_f32_scalar(at->x, at->n) : 0.0f, 0.0f, FLT_MAX, 3.99f};
    for (size_t i = 0; i < 4; i++) {
        if (at->n > 2 && i == 3)
            at->y[check_random() % at->n] = NAN;
        const float *x = i == 3 ? at->y : at->x;
        if (at->pair->scalar->all_at_most_f32(x, limits[i], at->n) !=
            at->pair->tested->all_at_most_f32(x, limits[i], at->n))
            return check_differs("limit %a", (double)limits[i]);
    }
    return true;
}

static bool check_all_at_most_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    return all_rows(pair, one_all_at_most_f32);
}

static bool one_rms_norm_f32(struct row_case *at)
{
    if (at->n == 0)
        return true; /* no mean */
    /* In place, and to another row. */
    at->pair->scalar->rms_norm_f32(expected, start, at->x, at->n, 1e-6f);
    at->pair->tested->rms_norm_f32(at->y, at->y, at->x, at->n, 1e-6f);
    if (!check_floats_equal(expected, at->y, at->n))
        return false;
    at->pair->scalar->rms_norm_f32(expected, at->z, at->x, at->n, 1e-6f);
    at->pair->tested->rms_norm_f32(at->y, at->z, at->x, at->n, 1e-6f);
    return check_floats_equal(expected, at->y, at->n);
}

static bool check_rms_norm_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    return all_rows(pair, one_rms_norm_f32);
}

/* Every half at some place of a vector, at every length and place. */
static bool check_f16_to_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    uint16_t half = 0;
    bool is_round = false; /* every half has been converted */
    for (size_t i = 0; i < check_n_lengths() * CHECK_N_PLACES || !is_round; i++) {
        size_t n = check_length(i / CHECK_N_PLACES % check_n_lengths());
        uint16_t *x =
            check_place(AREA_X, n * sizeof *x, check_places[i % CHECK_N_PLACES], sizeof *x);
        float *y =
            check_place(AREA_Y, n * sizeof *y, check_places[(i + 1) % CHECK_N_PLACES], sizeof *y);
        for (size_t k = 0; k < n; k++) {
            x[k] = half++;
            is_round |= half == 0;
        }
        pair->scalar->f16_to_f32(expected, x, n);
        pair->tested->f16_to_f32(y, x, n);
        if (memcmp(y, expected, n * sizeof *y) != 0 || !check_is_untouched(AREA_Y))
            return check_differs("at n %zu, halves up to %04x", n, (unsigned)half);
    }
    return true;
}

/* Bits that matter to rounding to a half: any; near a half, near the middle of two, from below the
 * least subnormal to above the largest; NaN with payloads, infinity. */
static uint32_t bits_near_half(void)
{
    uint32_t random = (uint32_t)(check_random() >> 32), sign = random & 0x80000000u;
    uint32_t half = (100 + random % 45) << 23 | (random & 0x7fe000), near = (random >> 29) - 2;
    switch (check_random() >> 32 & 3) {
    case 0:
        return random;
    case 1:
        return sign | (half + near);
    case 2:
        return sign | (half + 0x1000 + near);
    default:
        return sign | 0x7f800000 | (random & (random & 0x100 ? 0x7fffff : 0x7fe000));
    }
}

static bool check_f32_to_f16(const struct check_pair *pair, const char *row)
{
    (void)row;
    static uint16_t halves[MOST];
    for (size_t i = 0; i < 8 * check_n_lengths() * CHECK_N_PLACES; i++) {
        size_t n = check_length(i / CHECK_N_PLACES % check_n_lengths());
        float *x = check_place(AREA_X, n * sizeof *x, check_places[i % CHECK_N_PLACES], sizeof *x);
        uint16_t *y =
            check_place(AREA_Y, n * sizeof *y, check_places[(i + 1) % CHECK_N_PLACES], sizeof *y);
        for (size_t k = 0; k < n; k++) {
            uint32_t bits = bits_near_half();
            memcpy(&x[k], &bits, sizeof bits);
        }
        pair->scalar->f32_to_f16(halves, x, n);
        pair->tested->f32_to_f16(y, x, n);
        if (memcmp(y, halves, n * sizeof *y) != 0 || !check_is_untouched(AREA_Y))
            return check_differs("at n %zu", n);
    }
    return true;
}

/* Random blocks at any address. */
static bool unpack_blocks(const struct check_pair *pair, int type)
{
    const struct sprat__dtype_info *info = sprat__dtype_info((uint32_t)type);
    for (size_t i = 0; i < 300; i++) {
        size_t n_blocks = info->block_elements == 1 ? check_length(i % check_n_lengths()) : i % 36;
        size_t n = n_blocks * info->block_elements;
        uint8_t *x =
            check_place(AREA_W, n_blocks * info->block_bytes, check_places[i % CHECK_N_PLACES], 1);
        float *y =
            check_place(AREA_Y, n * sizeof *y, check_places[i / 4 % CHECK_N_PLACES], sizeof *y);
        for (size_t k = 0; k < n_blocks * info->block_bytes; k++)
            x[k] = (uint8_t)(check_random() >> 33);
        if (n > MOST)
            break;
        pair->scalar->dequant[type](expected, x, n);
        pair->tested->dequant[type](y, x, n);
        if (!check_floats_equal(expected, y, n) || !check_is_untouched(AREA_Y))
            return check_differs("at %zu blocks of %s", n_blocks, info->name);
    }
    return true;
}

static bool check_dequant(const struct check_pair *pair, const char *row)
{
    bool is_found = false;
    for (int type = 0; type < SPRAT__N_DTYPES; type++) {
        if (!pair->scalar->dequant[type])
            continue;
        /* The row's type is that of its name in lower case. */
        const char *name = sprat__dtype_info((uint32_t)type)->name, *own = row + strlen("dequant_");
        size_t k = 0;
        while (name[k] && (name[k] == own[k] || name[k] + ('a' - 'A') == own[k]))
            k++;
        if (name[k] || own[k])
            continue;
        is_found = true;
        if (!unpack_blocks(pair, type))
            return false;
    }
    return is_found || check_differs("no type is unpacked by %s", row);
}

struct product {
    size_t n_rows, n_columns, n_k;
    int type, place, kind;
};

enum { MOST_OUTPUTS = 80 * 80 };

/* Weights of plain types are values of the kind; the blocks of others are random bytes with a small
 * scale in their first half. */
static void fill_weights(uint8_t *w, size_t n_blocks, const struct product *at)
{
    const struct sprat__dtype_info *info = sprat__dtype_info((uint32_t)at->type);
    for (size_t i = 0; i < n_blocks; i++) {
        float value;
        if (at->type == SPRAT__F32) {
            check_fill(&value, 1, at->kind);
            memcpy(w + i * sizeof value, &value, sizeof value);
            continue;
        }
        for (size_t k = 0; k < info->block_bytes; k++)
            w[i * info->block_bytes + k] = (uint8_t)(check_random() >> 33);
        w[i * info->block_bytes + 1] &= 0xbf; /* below 2: neither infinite nor NaN */
        if (at->type == SPRAT__Q4_K)
            w[i * info->block_bytes + 3] &= 0xbf;
    }
}

/* Leaves NaN where the next function's local arrays will be, so that one it forgets to fill tells.
 */
static void __attribute__((noinline)) spoil_stack(void)
{
    volatile uint8_t bytes[16384];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 0xff;
}

static bool one_product(const struct check_pair *pair, const struct product *at)
{
    static float outputs[MOST_OUTPUTS];
    const struct sprat__dtype_info *info = sprat__dtype_info((uint32_t)at->type);
    size_t row_bytes = at->n_k / info->block_elements * info->block_bytes + 3;
    size_t w_bytes = at->n_rows ? at->n_rows * row_bytes - 3 : 0;
    size_t x_stride = at->n_k + 5, y_stride = at->n_rows + 3;
    size_t x_len = at->n_columns ? at->n_columns * x_stride - 5 : 0;
    size_t y_len = at->n_columns ? at->n_columns * y_stride - 3 : 0;
    uint8_t *w = check_place(AREA_W, w_bytes, at->place, 1);
    float *x = check_place(AREA_X, x_len * sizeof *x, at->place, sizeof *x);
    float *y = check_place(AREA_Y, y_len * sizeof *y, at->place, sizeof *y);
    for (size_t r = 0; r < at->n_rows; r++)
        fill_weights(w + r * row_bytes, at->n_k / info->block_elements, at);
    check_fill(x, x_len, at->kind);
    memcpy(outputs, y, y_len * sizeof *y); /* the pattern between the columns too */
    for (int i = 0; i < 2; i++) {
        const struct sprat__kernels *kernels = i ? pair->tested : pair->scalar;
        spoil_stack();
        kernels->matmul_f32(i ? y : outputs, y_stride, w, row_bytes, info->block_bytes,
                            info->block_elements, kernels->dequant[at->type], at->n_rows, x,
                            x_stride, at->n_columns, at->n_k);
    }
    if (check_floats_equal(outputs, y, y_len) && check_is_untouched(AREA_Y) &&
        check_is_untouched(AREA_X) && check_is_untouched(AREA_W))
        return true;
    return check_differs("at %zu rows, %zu columns, k %zu of %s, place %d, values of kind %d",
                         at->n_rows, at->n_columns, at->n_k, info->name, at->place, at->kind);
}

static bool check_matmul_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    static const size_t heights[] = {4, 1, 3, 5, 9, 0, 8, 2}, widths[] = {1, 3, 0, 4, 7, 2, 5, 37};
    static const int types[] = {SPRAT__F32, SPRAT__F16, SPRAT__Q8_0, SPRAT__Q4_K};
    for (size_t i = 0; i < check_n_lengths() * 64; i++) {
        size_t length = i / 64, height = i % 8, width = i / 8 % 8;
        /* Long rows with some shapes only: each height and each width once. */
        if (check_length(length) > 70 && width != (height + length) % 8)
            continue;
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            struct product at = {.n_rows = heights[height],
                                 .n_columns = widths[width],
                                 .n_k = check_length(length),
                                 .type = types[t],
                                 .place = check_places[(i + t) % CHECK_N_PLACES],
                                 .kind = (int)((i + i / 8) % CHECK_N_KINDS)};
            if (at.n_k % sprat__dtype_info((uint32_t)at.type)->block_elements == 0 &&
                !one_product(pair, &at))
                return false;
        }
    }
    /* More columns and rows than any tile. */
    const struct product large = {.n_rows = 66, .n_columns = 75, .n_k = 272, .type = SPRAT__F32};
    return one_product(pair, &large);
}

static float *bench_floats(int area, size_t n)
{
    float *x = check_place(area, n * sizeof *x, 0, sizeof *x);
    check_fill(x, n, CHECK_ORDINARY);
    return x;
}

/* The shape of a chunk: 64 columns of 1536 by 32 rows. */
static double bench_matmul_f32(const struct sprat__kernels *kernels)
{
    enum { ROWS = 32, COLUMNS = 64, K = 1536 };
    static const float *w, *x;
    static float *y;
    if (!w) {
        w = bench_floats(AREA_W, ROWS * K);
        x = bench_floats(AREA_X, COLUMNS * K);
        y = bench_floats(AREA_Y, COLUMNS * ROWS);
    }
    kernels->matmul_f32(y, ROWS, (const uint8_t *)w, K * sizeof *w, sizeof *w, 1,
                        kernels->dequant[SPRAT__F32], ROWS, x, K, COLUMNS, K);
    return (double)ROWS * COLUMNS * K;
}

/* Kernels on a row of 1536, repeated so that the clock is not what is measured. What writes in
 * place begins with the same row each time, which costs a copy. */
#define BENCH_ROW(kernel, begin, ...)                                                              \
    static double bench_##kernel(const struct sprat__kernels *kernels)                             \
    {                                                                                              \
        enum { N = 1536, TIMES = 1000 };                                                           \
        float *x = bench_floats(AREA_Z, 2 * N), *y = x + N;                                        \
        for (int i = 0; i < TIMES; i++) {                                                          \
            begin;                                                                                 \
            kernels->kernel(__VA_ARGS__);                                                          \
        }                                                                                          \
        return (double)N * TIMES;                                                                  \
    }
BENCH_ROW(dot_f32, (void)y, y, x, N)
BENCH_ROW(sum_squares_f32, (void)y, x, N)
BENCH_ROW(add_f32, (void)y, y, x, N)
BENCH_ROW(axpy_f32, (void)y, y, 0.5f, x, N)
BENCH_ROW(scale_f32, (void)y, y, 1.0f, N)
BENCH_ROW(f32_to_f16, (void)y, (uint16_t *)(void *)y, x, N)
BENCH_ROW(f16_to_f32, (void)y, y, (const uint16_t *)(const void *)x, N)
BENCH_ROW(max_f32, (void)y, x, N)
BENCH_ROW(first_f32, (void)y, x, N)
BENCH_ROW(all_at_most_f32, (void)y, x, 4.5f, N)
BENCH_ROW(silu_mul_f32, memcpy(y, x, N * sizeof *x), y, x, N)
BENCH_ROW(exp_sum_f32, memcpy(y, x, N * sizeof *x), y, 4.0f, N)
BENCH_ROW(rms_norm_f32, (void)y, y, x, x, N, 1e-6f)

#define CHECK(kernel)                                                                              \
    {                                                                                              \
#kernel, check_##kernel, NULL, NULL                                                        \
    }
#define CHECK_BENCH(kernel)                                                                        \
    {                                                                                              \
#kernel, check_##kernel, bench_##kernel, "Gelements/s"                                     \
    }

const struct check checks_f32[] = {
    {"dequant_", check_dequant, NULL, NULL},
    {"matmul_f32", check_matmul_f32, bench_matmul_f32, "GMAC/s"},
    CHECK_BENCH(dot_f32),
    CHECK_BENCH(sum_squares_f32),
    CHECK_BENCH(rms_norm_f32),
    CHECK_BENCH(silu_mul_f32),
    CHECK_BENCH(add_f32),
    CHECK_BENCH(axpy_f32),
    CHECK_BENCH(scale_f32),
    CHECK_BENCH(exp_sum_f32),
    CHECK_BENCH(max_f32),
    CHECK_BENCH(first_f32),
    CHECK_BENCH(all_at_most_f32),
    CHECK(rope_adjacent_f32),
    CHECK(rope_halves_f32),
    CHECK_BENCH(f32_to_f16),
    CHECK_BENCH(f16_to_f32),
    {NULL, NULL, NULL, NULL},
};
