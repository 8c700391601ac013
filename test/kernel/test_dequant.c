/* The scalar dequantisers against stored blocks, bit for bit, at any address; the small floats over
 * all their values; the code books against their sums. argv[1]: quant_vectors.txt. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/iq_grids.h"
#include "quant_vectors.h"

#include "run_suite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *vectors_path;

static const struct {
    const char *name;
    uint32_t type;
    sprat__dequant_fn *fn;
} types[] = {
#define ROW(name, type)                                                                            \
    {                                                                                              \
#name, SPRAT__##type, sprat__dequant_##name##_scalar                                       \
    }
    ROW(q4_0, Q4_0),       ROW(q4_1, Q4_1),     ROW(q5_0, Q5_0),     ROW(q5_1, Q5_1),
    ROW(q8_0, Q8_0),       ROW(q2_k, Q2_K),     ROW(q3_k, Q3_K),     ROW(q4_k, Q4_K),
    ROW(q5_k, Q5_K),       ROW(q6_k, Q6_K),     ROW(iq1_s, IQ1_S),   ROW(iq1_m, IQ1_M),
    ROW(iq2_xxs, IQ2_XXS), ROW(iq2_xs, IQ2_XS), ROW(iq2_s, IQ2_S),   ROW(iq3_xxs, IQ3_XXS),
    ROW(iq3_s, IQ3_S),     ROW(iq4_nl, IQ4_NL), ROW(iq4_xs, IQ4_XS), ROW(tq1_0, TQ1_0),
    ROW(tq2_0, TQ2_0),     ROW(mxfp4, MXFP4),   ROW(nvfp4, NVFP4),   ROW(q1_0, Q1_0),
    ROW(q2_0, Q2_0),
#undef ROW
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static void check_block(int type, const uint8_t *block, size_t n_bytes, const uint32_t *expected,
                        size_t n)
{
    enum { BLOCKS = 3 };
    static uint8_t input[8 + BLOCKS * 292];
    static uint32_t output[BLOCKS * 256 + 1];
    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t k = 0; k < BLOCKS; k++)
            memcpy(input + shift + k * n_bytes, block, n_bytes);
        memset(output, 0x88, sizeof output);
        types[type].fn((float *)(void *)output, input + shift, BLOCKS * n);
        for (size_t i = 0; i < BLOCKS * n; i++)
            ck_assert_msg(output[i] == expected[i % n],
                          "%s: element %zu at address +%zu: %08x, not %08x", types[type].name, i,
                          shift, output[i], expected[i % n]);
        ck_assert_uint_eq(output[BLOCKS * n], 0x88888888u);
    }
}

START_TEST(stored_blocks)
{
    bool seen[N_TYPES] = {false};
    struct quant_vector vector;
    FILE *f = fopen(vectors_path, "r");
    ck_assert_msg(f != NULL, "%s: no such file", vectors_path);
    while (quant_vector_read(f, &vector)) {
        int type = 0;
        while (type < N_TYPES && strcmp(types[type].name, vector.name) != 0)
            type++;
        ck_assert_msg(type < N_TYPES, "%s: no such type", vector.name);
        ck_assert_uint_eq(sprat__dtype_info(types[type].type)->block_elements, vector.elements);
        ck_assert_uint_eq(sprat__dtype_info(types[type].type)->block_bytes, vector.bytes);
        check_block(type, vector.block, vector.bytes, vector.expected, vector.elements);
        seen[type] = true;
    }
    fclose(f);
    for (int type = 0; type < N_TYPES; type++)
        ck_assert_msg(seen[type], "%s: no stored block", types[type].name);
}
END_TEST

/* The value of a finite half, by its definition. */
static double half_value(uint16_t half)
{
    int e = half >> 10 & 31, m = half & 1023;
    double v = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
    return half & 0x8000 ? -v : v;
}

START_TEST(half_to_float)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = sprat__half_to_float((uint16_t)h), row;
        uint16_t half = (uint16_t)h;
        uint32_t bits = sprat__bits_of_float(f);
        sprat__f16_to_f32_scalar(&row, &half, 1);
        ck_assert_uint_eq(sprat__bits_of_float(row), bits);
        sprat__dequant_f16_scalar(&row, &half, 1);
        ck_assert_uint_eq(sprat__bits_of_float(row), bits);
        ck_assert_uint_eq(bits >> 31, h >> 15);
        if ((h & 0x7c00) != 0x7c00)
            ck_assert_msg((double)f == half_value(half), "half %04x", (unsigned)h);
        else if ((h & 0x3ff) == 0)
            ck_assert_uint_eq(bits & 0x7fffffff, 0x7f800000);
        else
            ck_assert_uint_eq(bits & 0x7fffffff, 0x7fc00000 | (h & 0x3ff) << 13);
    }
}
END_TEST

static uint16_t to_half(uint32_t bits)
{
    float f = sprat__float_of_bits(bits);
    uint16_t half;
    sprat__f32_to_f16_scalar(&half, &f, 1);
    ck_assert_uint_eq(half, sprat__float_to_half(f));
    return half;
}

START_TEST(float_to_half)
{
    /* Every half, both neighbours of it, and the middle to the next with both of its neighbours. */
    for (uint32_t h = 0; h < 0x7c00; h++) {
        uint32_t at = sprat__bits_of_float((float)half_value((uint16_t)h));
        double next = h == 0x7bff ? 65536.0 : half_value((uint16_t)(h + 1));
        uint32_t middle = sprat__bits_of_float((float)((half_value((uint16_t)h) + next) / 2));
        for (uint32_t sign = 0; sign < 2; sign++) {
            uint32_t s = sign << 31, t = sign << 15;
            ck_assert_uint_eq(to_half(at | s), h | t);
            ck_assert_uint_eq(to_half((at + 1) | s), h | t);
            if (h > 0)
                ck_assert_uint_eq(to_half((at - 1) | s), h | t);
            ck_assert_uint_eq(to_half(middle | s), ((h + 1) & ~1u) | t);
            ck_assert_uint_eq(to_half((middle - 1) | s), h | t);
            ck_assert_uint_eq(to_half((middle + 1) | s), (h + 1) | t);
        }
    }
    ck_assert_uint_eq(to_half(0x00000001), 0);
    ck_assert_uint_eq(to_half(0x807fffff), 0x8000);
    ck_assert_uint_eq(to_half(0x7f7fffff), 0x7c00);
    ck_assert_uint_eq(to_half(0xff800000), 0xfc00);
    ck_assert_uint_eq(to_half(0x7f800001), 0x7e00);
    ck_assert_uint_eq(to_half(0xffc02000), 0xfe01);
    ck_assert_uint_eq(to_half(0x7fffffff), 0x7fff);
}
END_TEST

START_TEST(plain_types)
{
    uint8_t bytes[4 * 3 + 1];
    float y[3];
    static const uint32_t bits[3] = {0x3f800000, 0x80000001, 0x7f800001};
    memcpy(bytes + 1, bits, 12);
    sprat__dequant_f32_scalar(y, bytes + 1, 3);
    ck_assert_mem_eq(y, bits, 12);
    for (uint32_t b = 0; b < 65536; b++) {
        uint16_t half = (uint16_t)b;
        sprat__dequant_bf16_scalar(y, &half, 1);
        ck_assert_uint_eq(sprat__bits_of_float(y[0]), b << 16);
    }
}
END_TEST

START_TEST(small_float_scales)
{
    static const double fp4[16] = {0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
    for (int code = 0; code < 256; code++) {
        uint8_t block[36];
        float y[64];
        block[0] = (uint8_t)code;
        for (int j = 0; j < 16; j++)
            block[1 + j] = (uint8_t)(j << 4 | j);
        sprat__dequant_mxfp4_scalar(y, block, 32);
        for (int j = 0; j < 16; j++)
            ck_assert_msg(y[j] == (float)(fp4[j] * ldexp(1, code - 127)),
                          "mxfp4 scale %d, element %d", code, j);
        int e = code >> 3 & 15, m = code & 7;
        double scale = (code & 127) == 127 ? 0 : e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
        memset(block, 0, sizeof block);
        block[0] = (uint8_t)code;
        for (int j = 0; j < 8; j++)
            block[4 + j] = (uint8_t)((j + 8) << 4 | j);
        sprat__dequant_nvfp4_scalar(y, block, 64);
        for (int j = 0; j < 16; j++)
            ck_assert_msg((double)y[j] == fp4[j] * scale, "nvfp4 scale %d, element %d", code, j);
    }
}
END_TEST

/* FNV-1a over a book's elements, one byte each. */
static uint64_t grid_sum(const uint16_t *grid, size_t n, int elements, int bits,
                         const int8_t *values)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < elements; j++)
            sum = (sum ^ (uint8_t)values[grid[i] >> bits * j & ((1 << bits) - 1)]) * 0x100000001b3u;
    return sum;
}

START_TEST(code_books)
{
    static const int8_t two[4] = {8, 25, 43, 99}, one[4] = {-1, 0, 1, 99};
    static const int8_t xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62},
                        s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    ck_assert_uint_eq(grid_sum(sprat__grid_iq2xxs, 256, 8, 2, two), 0xbb4ee025b5ac6e8eu);
    ck_assert_uint_eq(grid_sum(sprat__grid_iq2xs, 512, 8, 2, two), 0xc9b1ee61e79909bdu);
    ck_assert_uint_eq(grid_sum(sprat__grid_iq2s, 1024, 8, 2, two), 0x123edd38a3b62b90u);
    ck_assert_uint_eq(grid_sum(sprat__grid_iq3xxs, 256, 4, 3, xxs), 0xdfa5dc83d6a155d5u);
    ck_assert_uint_eq(grid_sum(sprat__grid_iq3s, 512, 4, 3, s), 0xfa37020c25b44829u);
    ck_assert_uint_eq(grid_sum(sprat__grid_iq1s, 2048, 8, 2, one), 0x6703ed863501ae2eu);
}
END_TEST

int main(int argc, char **argv)
{
    vectors_path = argc > 1 ? argv[1] : "quant_vectors.txt";
    Suite *suite = suite_create("dequant");
    TCase *tests = tcase_create("dequant");
    tcase_add_test(tests, stored_blocks);
    tcase_add_test(tests, half_to_float);
    tcase_add_test(tests, float_to_half);
    tcase_add_test(tests, plain_types);
    tcase_add_test(tests, small_float_scales);
    tcase_add_test(tests, code_books);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
