/* Checks of numerics INT8: the rounding of activations, and products with blocks of weights. Blocks
 * are any bytes, as each stands for numbers; what a kind of block fixes is its scales and extremes.
 * Activations are what the rounding can give, its extremes first. */
#include "checkkernel.h"

#include "kernel/half.h"

#include <stdlib.h>
#include <string.h>

/* check_place's areas: all that a product reads or writes. */
enum { AREA_Q, AREA_SCALE, AREA_SUMS, AREA_SHIFT, AREA_W, AREA_Y };
enum { MOST_ROWS = 72, MOST_COLUMNS = 66, MOST_K = 8960, MOST_BYTES = 256, GAP = 3 };

static float expected[MOST_COLUMNS * (MOST_ROWS + GAP)];

static uint32_t random_below(uint32_t n)
{
    return (uint32_t)((check_random() >> 32) * n >> 32);
}

/* Types by their name in kernel.def, and where their binary16 scales lie in a block; -1: nowhere.
 */
#define EACH_TYPE(X)                                                                               \
    X(q4_0, Q4_0, 0, -1)                                                                           \
    X(q4_1, Q4_1, 0, 2)                                                                            \
    X(q5_0, Q5_0, 0, -1)                                                                           \
    X(q5_1, Q5_1, 0, 2)                                                                            \
    X(q8_0, Q8_0, 0, -1)                                                                           \
    X(iq4_nl, IQ4_NL, 0, -1)                                                                       \
    X(mxfp4, MXFP4, -1, -1)                                                                        \
    X(q1_0, Q1_0, 0, -1)                                                                           \
    X(q2_0, Q2_0, 0, -1)                                                                           \
    X(q2_k, Q2_K, 80, 82)                                                                          \
    X(q3_k, Q3_K, 108, -1)                                                                         \
    X(q4_k, Q4_K, 0, 2)                                                                            \
    X(q5_k, Q5_K, 0, 2)                                                                            \
    X(q6_k, Q6_K, 208, -1)                                                                         \
    X(iq1_s, IQ1_S, 0, -1)                                                                         \
    X(iq1_m, IQ1_M, -1, -1)                                                                        \
    X(iq2_xxs, IQ2_XXS, 0, -1)                                                                     \
    X(iq2_xs, IQ2_XS, 0, -1)                                                                       \
    X(iq2_s, IQ2_S, 0, -1)                                                                         \
    X(iq3_xxs, IQ3_XXS, 0, -1)                                                                     \
    X(iq3_s, IQ3_S, 0, -1)                                                                         \
    X(iq4_xs, IQ4_XS, 0, -1)                                                                       \
    X(tq1_0, TQ1_0, 52, -1)                                                                        \
    X(tq2_0, TQ2_0, 64, -1)

struct i8_type {
    const char *row;
    uint32_t type;
    int half, second;
};
static const struct i8_type types[] = {
#define ROW(name, type, half, second) {"matmul_i8_" #name, SPRAT__##type, half, second},
    EACH_TYPE(ROW)
#undef ROW
};
enum { N_TYPES = sizeof types / sizeof *types };

static const struct i8_type *type_of(const char *row)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strcmp(types[i].row, row) == 0)
            return &types[i];
    }
    return NULL;
}

/* Kinds of blocks; the bits of their scales. */
enum {
    SCALES_ORDINARY, /* below 2 */
    SCALES_FINITE,   /* any finite */
    SCALES_LARGEST,  /* 65504 or -65504 */
    SCALES_TINY,     /* subnormal */
    SCALES_ZERO,
    SCALES_ANY, /* infinite and NaN too */
    N_SCALES
};
enum {
    QUANTS_RANDOM,
    QUANTS_CONSTANT, /* one byte all over: 0, ff, 80, ... */
    QUANTS_SPLIT, /* two bytes, from some offset the other: extreme quants beside extreme scales */
    N_QUANTS
};

static uint16_t random_half(int kind)
{
    uint32_t random = (uint32_t)(check_random() >> 32), sign = random & 0x8000;
    switch (kind) {
    case SCALES_ORDINARY:
        return (uint16_t)(random & 0xbfff);
    case SCALES_FINITE:
        return (uint16_t)(sign | random % 0x7c00);
    case SCALES_LARGEST:
        return (uint16_t)(sign | 0x7bff);
    case SCALES_TINY:
        return (uint16_t)(sign | (random & 0x3ff));
    case SCALES_ZERO:
        return (uint16_t)sign;
    default:
        return random_below(32) ? (uint16_t)(random & 0xbfff)
                                : (uint16_t)(sign | 0x7c00 | (random & 1));
    }
}

static void put_half(uint8_t *at, uint16_t half)
{
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

static void fill_bytes(uint8_t *block, size_t n, int kind)
{
    static const uint8_t extremes[] = {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0, 0x88, 0x77};
    if (kind == QUANTS_RANDOM) {
        for (size_t i = 0; i < n; i += 8) {
            uint64_t random = check_random();
            memcpy(block + i, &random, n - i < 8 ? n - i : 8);
        }
        return;
    }
    size_t split = kind == QUANTS_SPLIT ? 2 * random_below((uint32_t)n / 2) : 0;
    memset(block, extremes[random_below(8)], split);
    memset(block + split, extremes[random_below(8)], n - split);
}

static void fill_block(uint8_t *block, const struct i8_type *type, int quants, int scales)
{
    size_t n = sprat__dtype_info(type->type)->block_bytes;
    fill_bytes(block, n, quants);
    if (type->half >= 0)
        put_half(block + type->half, random_half(scales));
    if (type->second >= 0)
        put_half(block + type->second, random_half(scales));
    if (type->type == SPRAT__MXFP4 && scales < SCALES_ANY) {
        static const uint8_t exponents[] = {120, 0, 254, 1, 2};
        block[0] = scales == SCALES_FINITE ? block[0] : exponents[scales];
    }
    if (type->type == SPRAT__IQ1_M) {
        uint16_t half = random_half(scales);
        for (int i = 0; i < 4; i++)
            block[49 + 2 * i] = (uint8_t)((block[49 + 2 * i] & 15) | (half >> 4 * i & 15) << 4);
    }
}

/* Kinds of activations. */
enum {
    ACTS_RANDOM,
    ACTS_LARGEST, /* 127 or -127, one sign a block, shift 3 */
    ACTS_SIGNS,   /* 127 or -127 each */
    ACTS_SMALL,   /* -1, 0, 1 */
    ACTS_ZEROS,   /* some blocks are zero, scale and all */
    ACTS_NAN,     /* some blocks were not finite */
    N_ACTS
};

static int one_q(int kind, int block_sign)
{
    switch (kind) {
    case ACTS_LARGEST:
        return 127 * block_sign;
    case ACTS_SIGNS:
        return random_below(2) ? 127 : -127;
    case ACTS_SMALL:
        return (int)random_below(3) - 1;
    default:
        return (int)random_below(255) - 127;
    }
}

struct product {
    const struct i8_type *type;
    size_t n_rows, n_columns, n_k, extra; /* extra: bytes between rows of weights */
    int place, quants, scales, kind;
};

/* A scale that the rounding can give: up to the largest float / 127. */
static float one_scale(int kind)
{
    float scale;
    check_fill(&scale, 1, kind == ACTS_RANDOM ? CHECK_ORDINARY : CHECK_WIDE);
    scale = scale < 0 ? -scale : scale;
    return kind == ACTS_LARGEST && random_below(4) == 0 ? 0x1.02p121f : scale;
}

/* One block of n elements: its q, sums, scale and shifts. */
static void fill_acts_block(int8_t *q, int16_t *sums, float *scale, uint8_t *shift, size_t n,
                            int kind)
{
    bool is_zero =
        (kind == ACTS_ZEROS && random_below(4) == 0) || (kind == ACTS_NAN && random_below(24) == 0);
    int sign = random_below(2) ? 1 : -1;
    *scale = one_scale(kind);
    if (is_zero)
        *scale = kind == ACTS_NAN ? sprat__float_of_bits(0x7fc00000u) : 0.0f;
    for (size_t i = 0; i < n; i += 16) {
        int sum = 0;
        for (size_t j = i; j < i + 16; j++) {
            q[j] = is_zero ? 0 : (int8_t)one_q(kind, sign);
            sum += q[j];
        }
        sums[i / 16] = (int16_t)sum;
    }
    for (size_t i = 0; shift && i < n; i += 32)
        shift[i / 32] = is_zero ? 0 : (uint8_t)(kind == ACTS_LARGEST ? 3 : random_below(4));
}

static struct sprat__acts make_acts(size_t n_columns, size_t n_k, bool is_wide, int place, int kind)
{
    size_t n = n_columns * n_k, block = is_wide ? 256 : 32;
    struct sprat__acts acts = {
        .q = check_place(AREA_Q, n, place, 1),
        .scale = check_place(AREA_SCALE, n / block * sizeof(float), place, sizeof(float)),
        .sums = check_place(AREA_SUMS, n / 16 * sizeof(int16_t), place, sizeof(int16_t)),
        .shift = check_place(AREA_SHIFT, is_wide ? n / 32 : 0, place, 1),
    };
    for (size_t i = 0; i < n; i += block)
        fill_acts_block(acts.q + i, acts.sums + i / 16, acts.scale + i / block,
                        is_wide ? acts.shift + i / 32 : NULL, block, kind);
    if (!is_wide)
        acts.shift = NULL;
    return acts;
}

/* Leaves bytes where the next function's local arrays will be that tell if it forgets to fill one.
 */
static void __attribute__((noinline)) spoil_frame(void)
{
    volatile uint8_t bytes[16384];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 0xff;
}

static bool all_untouched(void)
{
    bool good = true;
    for (int area = 0; area < CHECK_N_AREAS; area++)
        good = check_is_untouched(area) && good;
    return good;
}

static bool one_product(const struct check_pair *pair, const struct product *at)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(at->type->type);
    size_t n_blocks = at->n_k / info->block_elements;
    size_t row_bytes = n_blocks * info->block_bytes + at->extra, y_stride = at->n_rows + GAP;
    size_t y_len = (at->n_columns - 1) * y_stride + at->n_rows;
    uint8_t *w = check_place(AREA_W, at->n_rows * row_bytes - at->extra, at->place, 1);
    float *y = check_place(AREA_Y, y_len * sizeof *y, at->place, sizeof *y);
    const struct sprat__acts acts =
        make_acts(at->n_columns, at->n_k, info->block_elements == 256, at->place, at->kind);
    for (size_t r = 0; r < at->n_rows; r++) {
        for (size_t b = 0; b < n_blocks; b++)
            fill_block(w + r * row_bytes + b * info->block_bytes, at->type, at->quants, at->scales);
    }
    memcpy(expected, y, y_len * sizeof *y); /* the pattern between the columns too */
    pair->scalar->matmul_i8[at->type->type](expected, y_stride, w, row_bytes, at->n_rows, &acts,
                                            at->n_columns, at->n_k);
    spoil_frame();
    pair->tested->matmul_i8[at->type->type](y, y_stride, w, row_bytes, at->n_rows, &acts,
                                            at->n_columns, at->n_k);
    if (check_floats_equal(expected, y, y_len) && all_untouched())
        return true;
    return check_differs("at %zu rows %zu bytes apart, %zu columns, k %zu, place %d, quants %d, "
                         "scales %d, activations %d",
                         at->n_rows, row_bytes, at->n_columns, at->n_k, at->place, at->quants,
                         at->scales, at->kind);
}

/* The kinds of case number i: each of them meets each of the others; the places by chance. */
static struct product product_of(const struct i8_type *type, size_t i)
{
    return (struct product){.type = type,
                            .place = check_places[random_below(CHECK_N_PLACES)],
                            .extra = random_below(2) ? 0 : 3,
                            .kind = (int)(i % N_ACTS),
                            .scales = (int)(i / N_ACTS % N_SCALES),
                            .quants = (int)(i / N_ACTS / N_SCALES % N_QUANTS)};
}

/* Rows of real models, whole and in every remainder that the types have: 576 and 1408 are no
 * multiples of 256, 10944 / 32 no multiple of 4. */
static const size_t real_k[] = {576, 1408, 1536, 2048, 2400, 8960};
static const struct {
    size_t n_rows, n_columns;
} real_shapes[] = {{33, 1}, {18, 2}, {5, 5}, {20, 9}};

static bool check_matmul_i8(const struct check_pair *pair, const char *row)
{
    static const size_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33};
    enum { N_WIDTHS = sizeof widths / sizeof *widths, N_HEIGHTS = 40, N_ROUNDS = 2 };
    const struct i8_type *type = type_of(row);
    if (!type)
        return check_differs("no type has the row %s", row);
    size_t block = sprat__dtype_info(type->type)->block_elements, i = 0;
    /* Each height with each width, at lengths of 0 blocks and more. */
    for (; i < N_WIDTHS * N_HEIGHTS * N_ROUNDS; i++) {
        struct product at = product_of(type, i);
        at.n_columns = widths[i % N_WIDTHS];
        at.n_rows = 1 + i / N_WIDTHS % N_HEIGHTS;
        at.n_k = random_below(at.n_columns < 16 && block < 256 ? 10 : 4) * block;
        if (!one_product(pair, &at))
            return false;
    }
    for (size_t k = 0; k < sizeof real_k / sizeof *real_k; k++) {
        for (size_t s = 0; s < sizeof real_shapes / sizeof *real_shapes; s++, i += 7) {
            struct product at = product_of(type, i);
            at.n_rows = real_shapes[s].n_rows;
            at.n_columns = real_shapes[s].n_columns;
            at.n_k = real_k[k];
            if (at.n_k % block == 0 && !one_product(pair, &at))
                return false;
        }
    }
    /* More rows and columns than any tile. */
    struct product large = product_of(type, 0);
    large.n_rows = MOST_ROWS;
    large.n_columns = MOST_COLUMNS;
    large.n_k = 512;
    return one_product(pair, &large);
}

/* Rows to round: what check_fill has, NaN and infinities among ordinary values, ties, steps of the
 * shift, what is about the least that is not zero. */
enum { ROUND_NAN = CHECK_N_KINDS, ROUND_TIES, ROUND_STEPS, ROUND_LEAST, N_ROUND_KINDS };

static float one_to_round(int kind)
{
    static const uint32_t odd[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0xffc12345u, 0x7f800001u};
    float value;
    check_fill(&value, 1, CHECK_ORDINARY);
    uint32_t random = random_below(64);
    switch (kind) {
    case ROUND_NAN:
        return random_below(200) ? value : sprat__float_of_bits(odd[random % 5]);
    case ROUND_TIES: /* 127 is the largest: q is x */
        return random == 0 ? 127.0f : (float)((int)random_below(254) - 127) + 0.5f;
    case ROUND_STEPS:
        return random < 2 ? -64.0f : random < 6 ? 32.0f : random < 12 ? 0x1.000002p4f : value;
    default: {
        uint32_t bits = (27u << 23) + random - 32; /* 2^-100 */
        return random_below(32) ? 0.0f : sprat__float_of_bits(bits | random << 31);
    }
    }
}

static void fill_to_round(float *x, size_t n, int kind)
{
    if (kind < CHECK_N_KINDS) {
        check_fill(x, n, kind);
        return;
    }
    for (size_t i = 0; i < n; i++)
        x[i] = one_to_round(kind);
    /* Each 32 a step lower now and then, so that blocks of 256 meet every shift. */
    for (size_t i = 0; kind == ROUND_STEPS && i < n; i += 32) {
        float factor = sprat__float_of_bits((127 - random_below(5)) << 23);
        for (size_t j = i; j < n && j < i + 32; j++)
            x[j] *= factor;
    }
}

static bool check_quantize(const struct check_pair *pair, const char *row)
{
    static int8_t q[MOST_K];
    static float scale[MOST_K / 32];
    static int16_t sums[MOST_K / 16];
    static uint8_t shift[MOST_K / 32];
    bool is_wide = strcmp(row, "quantize_256") == 0;
    size_t block = is_wide ? 256 : 32;
    for (size_t i = 0; i < 80 * N_ROUND_KINDS; i++) {
        size_t n = i / N_ROUND_KINDS % 10 * block;
        n = i / N_ROUND_KINDS % 10 == 9 ? real_k[i % 6] / block * block : n;
        int kind = (int)(i % N_ROUND_KINDS), place = check_places[i / 3 % CHECK_N_PLACES];
        float *x = check_place(AREA_W, n * sizeof *x, check_places[i % CHECK_N_PLACES], sizeof *x);
        check_place(AREA_Y, 0, 0, 1);
        struct sprat__acts acts = make_acts(1, n, is_wide, place, ACTS_RANDOM);
        fill_to_round(x, n, kind);
        if (is_wide) {
            pair->scalar->quantize_256(q, scale, sums, shift, x, n);
            pair->tested->quantize_256(acts.q, acts.scale, acts.sums, acts.shift, x, n);
        } else {
            pair->scalar->quantize_32(q, scale, sums, x, n);
            pair->tested->quantize_32(acts.q, acts.scale, acts.sums, x, n);
        }
        bool good = check_floats_equal(scale, acts.scale, n / block);
        for (size_t k = 0; k < n; k++) {
            if (q[k] != acts.q[k] && good)
                good = check_differs("q %zu: %d, not %d (%a)", k, acts.q[k], q[k], (double)x[k]);
        }
        if (memcmp(sums, acts.sums, n / 16 * sizeof *sums) != 0)
            good = check_differs("other sums");
        if (is_wide && memcmp(shift, acts.shift, n / 32) != 0)
            good = check_differs("other shifts");
        if (!all_untouched() || !good)
            return check_differs("at n %zu, place %d, values of kind %d", n, place, kind);
    }
    return true;
}

static bool check_round_f32(const struct check_pair *pair, const char *row)
{
    (void)row;
    for (size_t i = 0; i < check_n_lengths() * CHECK_N_PLACES * N_ROUND_KINDS; i++) {
        size_t n = check_length(i / (CHECK_N_PLACES * N_ROUND_KINDS));
        unsigned bits = i % 2 ? 13 : 16;
        int kind = (int)(i / CHECK_N_PLACES % N_ROUND_KINDS);
        float *y = check_place(AREA_Y, n * sizeof *y, check_places[i % CHECK_N_PLACES], sizeof *y);
        float *x = check_place(AREA_W, n * sizeof *x, 0, sizeof *x);
        if (kind == ROUND_LEAST) { /* any bits */
            for (size_t k = 0; k < n; k++)
                x[k] = sprat__float_of_bits((uint32_t)(check_random() >> 32));
        } else {
            fill_to_round(x, n, kind);
        }
        memcpy(y, x, n * sizeof *y);
        pair->scalar->round_f32(x, n, bits);
        pair->tested->round_f32(y, n, bits);
        if (!check_floats_equal(x, y, n) || !check_is_untouched(AREA_Y))
            return check_differs("at n %zu, %u bits, values of kind %d", n, bits, kind);
    }
    return true;
}

/* What the benches measure with lies in the areas until another type or shape comes. */
struct bench {
    const struct i8_type *type;
    size_t n_rows, n_columns, row_bytes;
    uint8_t *w;
    float *y;
    struct sprat__acts acts;
};
static struct bench bench;
enum { BENCH_K = 1536 };

static void make_bench(const struct i8_type *type, size_t n_rows, size_t n_columns)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(type->type);
    size_t n_blocks = BENCH_K / info->block_elements;
    bench.type = type;
    bench.n_rows = n_rows;
    bench.n_columns = n_columns;
    bench.row_bytes = n_blocks * info->block_bytes;
    bench.w = check_place(AREA_W, n_rows * bench.row_bytes, 0, 1);
    bench.y = check_place(AREA_Y, n_rows * n_columns * sizeof *bench.y, 0, sizeof *bench.y);
    bench.acts = make_acts(n_columns, BENCH_K, info->block_elements == 256, 0, ACTS_RANDOM);
    for (size_t b = 0; b < n_rows * n_blocks; b++)
        fill_block(bench.w + b * info->block_bytes, type, QUANTS_RANDOM, SCALES_ORDINARY);
}

static void bench_product(const struct sprat__kernels *kernels, const char *row, size_t n_rows,
                          size_t n_columns)
{
    const struct i8_type *type = type_of(row);
    if (bench.type != type || bench.n_rows != n_rows || bench.n_columns != n_columns)
        make_bench(type, n_rows, n_columns);
    kernels->matmul_i8[type->type](bench.y, n_rows, bench.w, bench.row_bytes, n_rows, &bench.acts,
                                   n_columns, BENCH_K);
}

/* The shape of a chunk: 64 columns of 1536 by 256 rows; multiplications. */
static double bench_chunk(const struct sprat__kernels *kernels, const char *row)
{
    bench_product(kernels, row, 256, 64);
    return 256.0 * 64 * BENCH_K;
}

/* One column by 256 rows, in cache; bytes of weights. */
static double bench_step(const struct sprat__kernels *kernels, const char *row)
{
    bench_product(kernels, row, 256, 1);
    return 256.0 * (double)bench.row_bytes;
}

/* A row repeated, so that the clock is not what is measured. */
static double bench_quantize(const struct sprat__kernels *kernels, bool is_wide)
{
    enum { TIMES = 100 };
    float *x = check_place(AREA_W, BENCH_K * sizeof *x, 0, sizeof *x);
    struct sprat__acts acts = make_acts(1, BENCH_K, is_wide, 0, ACTS_RANDOM);
    bench.type = NULL;
    check_fill(x, BENCH_K, CHECK_ORDINARY);
    for (int i = 0; i < TIMES; i++) {
        if (is_wide)
            kernels->quantize_256(acts.q, acts.scale, acts.sums, acts.shift, x, BENCH_K);
        else
            kernels->quantize_32(acts.q, acts.scale, acts.sums, x, BENCH_K);
    }
    return (double)BENCH_K * TIMES;
}

static double bench_quantize_32(const struct sprat__kernels *kernels)
{
    return bench_quantize(kernels, false);
}

static double bench_quantize_256(const struct sprat__kernels *kernels)
{
    return bench_quantize(kernels, true);
}

#define BENCHES(name, type, half, second)                                                          \
    static double bench_chunk_##name(const struct sprat__kernels *kernels)                         \
    {                                                                                              \
        return bench_chunk(kernels, "matmul_i8_" #name);                                           \
    }                                                                                              \
    static double bench_step_##name(const struct sprat__kernels *kernels)                          \
    {                                                                                              \
        return bench_step(kernels, "matmul_i8_" #name);                                            \
    }
EACH_TYPE(BENCHES)

#define CHECKS(name, type, half, second)                                                           \
    {"matmul_i8_" #name, check_matmul_i8, bench_chunk_##name, "GMAC/s, 64 columns"},               \
        {"matmul_i8_" #name, NULL, bench_step_##name, "GB/s, 1 column"},

const struct check checks_i8[] = {
    {"quantize_32", check_quantize, bench_quantize_32, "Gelements/s"},
    {"quantize_256", check_quantize, bench_quantize_256, "Gelements/s"},
    {"round_f32", check_round_f32, NULL, NULL},
    EACH_TYPE(CHECKS){NULL, NULL, NULL, NULL},
};
