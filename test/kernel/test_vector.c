/* The scalar kernels against binary64: every length from 0 to 70, real widths, misaligned rows; and
 * their order against a second, literal writing of it. */
#include "kernel/kernel.h"
#include "kernel/scalar/exp32.h"

#include "run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 9000 };

static float a[MAX + 8], b[MAX + 8];
static const size_t widths[] = {576, 1408, 1536, 2048, 8960};

static void fill(uint32_t seed)
{
    for (size_t i = 0; i < MAX + 8; i++) {
        seed = seed * 1664525u + 1013904223u;
        a[i] = (float)((int32_t)seed >> 8) * 0x1p-20f;
        seed = seed * 1664525u + 1013904223u;
        b[i] = (float)((int32_t)seed >> 8) * 0x1p-22f;
    }
}

/* The order of doc/numerics.md, written literally. */
static float literal_dot(const float *x, const float *y, size_t n)
{
    float lane[16] = {0};
    for (size_t k = 0; k < n; k++) {
        float product = x[k] * y[k];
        lane[k % 16] = lane[k % 16] + product;
    }
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            lane[i] = lane[i] + lane[i + half];
    }
    return lane[0];
}

static void check_dot(const float *x, const float *y, size_t n)
{
    double exact = 0, size = 0;
    for (size_t k = 0; k < n; k++) {
        exact += (double)x[k] * (double)y[k];
        size += fabs((double)x[k] * (double)y[k]);
    }
    float ours = sprat__dot_f32_scalar(x, y, n), literal = literal_dot(x, y, n);
    ck_assert_msg(memcmp(&ours, &literal, sizeof ours) == 0, "n %zu: %a, not %a", n, (double)ours,
                  (double)literal);
    ck_assert_double_le(fabs((double)ours - exact), 2.0 * (double)n * 0x1p-24 * size);
}

START_TEST(dot)
{
    fill(1);
    for (size_t offset = 0; offset < 4; offset++) {
        for (size_t n = 0; n <= 70; n++)
            check_dot(a + offset, b + 3 - offset, n);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
            check_dot(a + offset, b + 3 - offset, widths[i]);
    }
}
END_TEST

/* Rows and columns of a product are dot products, whatever else is computed with them. */
START_TEST(matmul_is_dots)
{
    enum { ROWS = 5, COLUMNS = 37, K = 1100 };
    static float x[COLUMNS * K], w[ROWS * K], y[COLUMNS * (ROWS + 2)];
    fill(2);
    for (size_t i = 0; i < COLUMNS * K; i++)
        x[i] = a[i % MAX] * (float)(i % 3);
    for (size_t i = 0; i < ROWS * K; i++)
        w[i] = b[i % MAX];
    const size_t ks[] = {1, 15, 16, 17, 576, 1024, 1025, 1100};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        for (size_t columns = 1; columns <= COLUMNS; columns += 12) {
            sprat__matmul_f32_scalar(y, ROWS + 2, (const uint8_t *)w, K * sizeof(float),
                                     sizeof(float), 1, sprat__dequant_f32_scalar, ROWS, x, K,
                                     columns, ks[i]);
            for (size_t c = 0; c < columns; c++) {
                for (size_t r = 0; r < ROWS; r++) {
                    float expected = sprat__dot_f32_scalar(w + r * K, x + c * K, ks[i]);
                    ck_assert_int_eq(memcmp(&y[c * (ROWS + 2) + r], &expected, sizeof expected), 0);
                }
            }
        }
    }
}
END_TEST

START_TEST(exp_is_close)
{
    double worst = 0;
    for (double x = -87.0; x <= 88.7; x += 0.00113) {
        float in = (float)x;
        double exact = exp((double)in);
        worst = fmax(worst, fabs((double)sprat__exp32(in) - exact) / exact);
    }
    ck_assert_double_lt(worst, 2e-7);
    for (float x = -104.0f; x < -87.0f; x += 0.01f)
        ck_assert_double_le(fabs((double)sprat__exp32(x) - exp((double)x)), 0x1p-149 + 1e-45);
    ck_assert(sprat__exp32(0.0f) == 1.0f && sprat__exp32(-0.0f) == 1.0f);
    ck_assert(sprat__exp32(-INFINITY) == 0.0f && sprat__exp32(-200.0f) == 0.0f);
    ck_assert(isinf(sprat__exp32(INFINITY)) && isinf(sprat__exp32(89.0f)));
    ck_assert(isnan(sprat__exp32(NAN)));
}
END_TEST

START_TEST(norm_and_silu)
{
    static float y[MAX], gate[MAX];
    fill(3);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        size_t n = widths[i];
        double sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += (double)a[k] * (double)a[k];
        double scale = 1.0 / sqrt(sum / (double)n + 1e-6);
        sprat__rms_norm_f32_scalar(y, a, b, n, 1e-6f);
        memcpy(gate, a, n * sizeof *gate);
        sprat__silu_mul_f32_scalar(gate, b, n);
        for (size_t k = 0; k < n; k++) {
            double norm = (double)a[k] * scale * (double)b[k];
            double silu = (double)a[k] / (1.0 + exp(-(double)a[k])) * (double)b[k];
            ck_assert_double_le(fabs((double)y[k] - norm), 1e-5 * fabs(norm) + 1e-30);
            ck_assert_double_le(fabs((double)gate[k] - silu), 1e-6 * fabs(silu) + 1e-30);
        }
    }
}
END_TEST

START_TEST(softmax_sum_and_max)
{
    fill(4);
    for (size_t n = 1; n <= 64; n++) {
        float x[64];
        double sum = 0;
        memcpy(x, b, n * sizeof *x);
        float max = sprat__max_f32_scalar(x, n);
        for (size_t k = 0; k < n; k++) {
            ck_assert(b[k] <= max);
            sum += exp((double)b[k] - (double)max);
        }
        float ours = sprat__exp_sum_f32_scalar(x, max, n);
        ck_assert_double_le(fabs((double)ours - sum), 1e-5 * sum);
    }
    ck_assert(sprat__max_f32_scalar(a, 0) == -INFINITY);
}
END_TEST

START_TEST(rotation)
{
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float cosine[4] = {0, 1, 0, 1}, sine[4] = {1, 0, -1, 0};
    sprat__rope_adjacent_f32_scalar(x, cosine, sine, 8);
    const float adjacent[8] = {-2, 1, 3, 4, 6, -5, 7, 8};
    ck_assert_int_eq(memcmp(x, adjacent, sizeof x), 0);
    sprat__rope_halves_f32_scalar(y, cosine, sine, 8);
    const float halves[8] = {-5, 2, 7, 4, 1, 6, -3, 8};
    ck_assert_int_eq(memcmp(y, halves, sizeof y), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector");
    TCase *tests = tcase_create("vector");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, dot);
    tcase_add_test(tests, matmul_is_dots);
    tcase_add_test(tests, exp_is_close);
    tcase_add_test(tests, norm_and_silu);
    tcase_add_test(tests, softmax_sum_and_max);
    tcase_add_test(tests, rotation);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
