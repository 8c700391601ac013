/* The scalar kernels of numerics INT8: rounding of activations against its definition, products
 * against binary64 for every type with random blocks, and extremes. */
#include "kernel/kernel.h"

#include "run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { K = 1024, ROWS = 3, COLUMNS = 5, ROW_BYTES_MOST = K * 2 };

static uint32_t state = 1;

static uint32_t next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* About gaussian, with one in 64 twenty times as large. */
static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = -4.0f;
        for (int k = 0; k < 8; k++)
            sum += (float)next_random() * 0x1p-24f;
        x[i] = next_random() % 64 ? sum : sum * 20.0f;
    }
}

struct row {
    int8_t q[K];
    float scale[K / 32];
    int16_t sums[K / 16];
    uint8_t shift[K / 32];
};

/* What a row's value i stands for. */
static double value_of(const struct row *row, bool wide, size_t i)
{
    if (!wide)
        return (double)row->q[i] * (double)row->scale[i / 32];
    return (double)(row->q[i] * (1 << row->shift[i / 32])) * (double)row->scale[i / 256];
}

static void check_sums(const struct row *row)
{
    for (size_t i = 0; i < K / 16; i++) {
        int sum = 0;
        for (size_t j = 0; j < 16; j++)
            sum += row->q[16 * i + j];
        ck_assert_int_eq(row->sums[i], sum);
    }
}

START_TEST(rounding)
{
    static float x[K];
    static struct row row;
    for (int round = 0; round < 50; round++) {
        fill(x, K);
        sprat__quantize_32_scalar(row.q, row.scale, row.sums, x, K);
        check_sums(&row);
        for (size_t i = 0; i < K; i++)
            ck_assert_double_le(fabs(value_of(&row, false, i) - (double)x[i]),
                                0.50001 * (double)row.scale[i / 32]);
        sprat__quantize_256_scalar(row.q, row.scale, row.sums, row.shift, x, K);
        check_sums(&row);
        for (size_t i = 0; i < K; i++) {
            ck_assert_int_le(row.shift[i / 32], 3);
            ck_assert_double_le(fabs(value_of(&row, true, i) - (double)x[i]),
                                0.50001 * (double)row.scale[i / 256] * (1 << row.shift[i / 32]));
        }
    }
}
END_TEST

/* The rest is x less the value, rounded once. */
START_TEST(rests)
{
    static float x[K], rest[K];
    static struct row row;
    for (int round = 0; round < 10; round++) {
        fill(x, K);
        sprat__quantize_32_scalar(row.q, row.scale, row.sums, x, K);
        sprat__rest_32_scalar(rest, x, row.q, row.scale, K);
        for (size_t i = 0; i < K; i++)
            ck_assert(rest[i] == x[i] - (float)value_of(&row, false, i));
        sprat__quantize_256_scalar(row.q, row.scale, row.sums, row.shift, x, K);
        sprat__rest_256_scalar(rest, x, row.q, row.scale, row.shift, K);
        for (size_t i = 0; i < K; i++)
            ck_assert(rest[i] == x[i] - (float)value_of(&row, true, i));
    }
}
END_TEST

/* A block of zeros, of less than 2^-100, of one that is not finite; ties to even; the shift. */
START_TEST(rounding_of_extremes)
{
    static float x[K];
    static struct row row;
    memset(x, 0, sizeof x);
    x[32] = 0x1p-101f;
    x[64] = 0x1p-100f;
    x[96] = NAN;
    x[128] = -INFINITY;
    x[160] = 127.0f;
    x[161] = 2.5f;
    x[162] = -3.5f;
    x[192] = -3.4e38f;
    sprat__quantize_32_scalar(row.q, row.scale, row.sums, x, 256);
    ck_assert(row.scale[0] == 0.0f && row.scale[1] == 0.0f && row.scale[2] == 0x1p-100f / 127.0f);
    ck_assert(isnan(row.scale[3]) && isnan(row.scale[4]) && row.q[96] == 0 && row.q[128] == 0);
    ck_assert(row.q[64] == 127 && row.q[160] == 127 && row.q[161] == 2 && row.q[162] == -4);
    ck_assert(row.q[192] == -127 && isfinite(row.scale[6]));
    memset(x, 0, sizeof x);
    x[0] = 127.0f;
    x[32] = 63.5f;
    x[64] = 63.6f;
    x[96] = 15.875f;
    x[128] = 15.0f;
    sprat__quantize_256_scalar(row.q, row.scale, row.sums, row.shift, x, 256);
    ck_assert(row.scale[0] == 0.125f);
    ck_assert(row.shift[0] == 3 && row.shift[1] == 2 && row.shift[2] == 3);
    ck_assert(row.shift[3] == 0 && row.shift[4] == 0 && row.q[32] == 127 && row.q[96] == 127);
    x[200] = NAN;
    sprat__quantize_256_scalar(row.q, row.scale, row.sums, row.shift, x, 256);
    ck_assert(isnan(row.scale[0]) && row.q[0] == 0);
}
END_TEST

START_TEST(rounding_of_bits)
{
    float y[] = {1.0f, 0x1.001p0f, 0x1.0018p0f, -0x1.0008p0f, 0x1.fffffep127f, INFINITY, 0.0f};
    sprat__round_f32_scalar(y, 7, 13);
    ck_assert(y[0] == 1.0f && y[1] == 0x1.001p0f && y[2] == 0x1.002p0f && y[3] == -1.0f);
    ck_assert(isinf(y[4]) && isinf(y[5]) && y[6] == 0.0f);
    float nan = NAN;
    sprat__round_f32_scalar(&nan, 1, 16);
    ck_assert(isnan(nan));
}
END_TEST

/* Bytes whose blocks stand for finite numbers that are not huge. */
static void random_row(const struct sprat__kernels *kernels, uint32_t type, uint8_t *row, float *w)
{
    const struct sprat__dtype_info *info = sprat__dtype_info(type);
    for (size_t b = 0; b < K / info->block_elements; b++) {
        uint8_t *block = row + b * info->block_bytes;
        float *values = w + b * info->block_elements;
        bool fine;
        do {
            for (size_t i = 0; i < info->block_bytes; i++)
                block[i] = (uint8_t)next_random();
            kernels->dequant[type](values, block, info->block_elements);
            fine = true;
            for (size_t i = 0; i < info->block_elements; i++)
                fine = fine && fabsf(values[i]) < 1e20f;
        } while (!fine);
    }
}

static void check_type(const struct sprat__kernels *kernels, uint32_t type)
{
    static uint8_t weights[ROWS * ROW_BYTES_MOST + 1];
    static float w[ROWS][K], x[COLUMNS][K], y[COLUMNS * ROWS];
    static struct row rows[COLUMNS];
    static int8_t q[COLUMNS * K];
    static float scale[COLUMNS * K / 32];
    static int16_t sums[COLUMNS * K / 16];
    static uint8_t shift[COLUMNS * K / 32];
    const struct sprat__dtype_info *info = sprat__dtype_info(type);
    bool wide = info->block_elements == 256;
    size_t row_bytes = K / info->block_elements * info->block_bytes;
    size_t block = wide ? 256 : 32;
    for (size_t r = 0; r < ROWS; r++)
        random_row(kernels, type, weights + 1 + r * row_bytes, w[r]);
    for (size_t c = 0; c < COLUMNS; c++) {
        fill(x[c], K);
        if (wide)
            kernels->quantize_256(rows[c].q, rows[c].scale, rows[c].sums, rows[c].shift, x[c], K);
        else
            kernels->quantize_32(rows[c].q, rows[c].scale, rows[c].sums, x[c], K);
        memcpy(q + c * K, rows[c].q, K);
        memcpy(scale + c * (K / block), rows[c].scale, K / block * sizeof *scale);
        memcpy(sums + c * (K / 16), rows[c].sums, sizeof rows[c].sums);
        memcpy(shift + c * (K / 32), rows[c].shift, sizeof rows[c].shift);
    }
    const struct sprat__acts acts = {q, scale, sums, shift};
    kernels->matmul_i8[type](y, ROWS, weights + 1, row_bytes, ROWS, &acts, COLUMNS, K);
    for (size_t c = 0; c < COLUMNS; c++) {
        for (size_t r = 0; r < ROWS; r++) {
            double exact = 0, size = 0, largest = 0;
            for (size_t k = 0; k < K; k++) {
                double product = (double)w[r][k] * value_of(&rows[c], wide, k);
                exact += product;
                size += fabs(product);
                largest = fmax(largest, fabs((double)w[r][k]));
            }
            /* The parts of a value with a minimum may be far larger than the value. */
            size += largest * 16 * 127 * (double)rows[c].scale[0];
            double error = fabs((double)y[c * ROWS + r] - exact);
            ck_assert_msg(error <= 64 * 0x1p-24 * size, "%s row %zu column %zu: %g, not %g",
                          info->name, r, c, (double)y[c * ROWS + r], exact);
        }
    }
}

START_TEST(products)
{
    struct sprat__kernels kernels;
    size_t n = 0;
    const struct sprat__cpu none = {0};
    ck_assert(sprat__kernels_init(&kernels, &none, "scalar"));
    for (uint32_t type = 0; type < SPRAT__N_DTYPES; type++) {
        if (!kernels.matmul_i8[type])
            continue;
        for (int round = 0; round < 20; round++)
            check_type(&kernels, type);
        n++;
    }
    ck_assert_uint_eq(n, 24);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8");
    TCase *tests = tcase_create("i8");
    tcase_add_test(tests, rounding);
    tcase_add_test(tests, rests);
    tcase_add_test(tests, rounding_of_extremes);
    tcase_add_test(tests, rounding_of_bits);
    tcase_add_test(tests, products);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
