/* Owns the products of numerics INT8: blocks of weights as integers times activations in 8 bits.
 * Sums inside a block are exact, in any grouping. Across blocks there is one accumulator per
 * output, from +0, in ascending k: the weight side first, the activations' scale last
 * (doc/numerics.md). */
#include "kernel/kernel.h"
#include "kernel/scalar/unpack.h"

static int32_t matmul_dot16(const int8_t *w, const int8_t *q)
{
    int32_t sum = 0;
    for (size_t i = 0; i < 16; i++)
        sum += w[i] * q[i];
    return sum;
}

/* One column's part of a block of 32: w · q · d, plus m times the sum of q. */
static float matmul_block32(const struct sprat__block32 *block, bool has_min, const int8_t *q,
                            const int16_t *sums)
{
    int32_t sum = matmul_dot16(block->w, q) + matmul_dot16(block->w + 16, q + 16);
    float value = (float)sum * block->d;
    return has_min ? value + block->m * (float)(sums[0] + sums[1]) : value;
}

/* One column's part of a block of 256: Σ scale·(w·q << shift) · d, less dmin · Σ least·(Σq <<
 * shift). */
static float matmul_block256(const struct sprat__block256 *block, bool has_min, const int8_t *q,
                             const int16_t *sums, const uint8_t *shift)
{
    int32_t sum = 0, least = 0;
    for (size_t j = 0; j < 16; j++) {
        int32_t unit = 1 << shift[j / 2];
        sum += block->scale[j] * matmul_dot16(block->w + 16 * j, q + 16 * j) * unit;
        least += block->least[j] * sums[j] * unit;
    }
    float value = (float)sum * block->d;
    return has_min ? value - block->dmin * (float)least : value;
}

static void matmul_rows32(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
                          size_t n_rows, const struct sprat__acts *x, size_t n_columns, size_t n_k,
                          sprat__unpack32_fn *unpack, size_t block_bytes, unsigned parts,
                          bool has_min)
{
    struct sprat__block32 block;
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t c = 0; c < n_columns; c++)
            y[c * y_stride + r] = 0.0f;
        for (size_t b = 0; b < n_k / 32; b++) {
            unpack(&block, w + r * row_bytes + b / parts * block_bytes, (unsigned)(b % parts));
            for (size_t c = 0; c < n_columns; c++) {
                size_t at = c * (n_k / 32) + b;
                float value = matmul_block32(&block, has_min, x->q + at * 32, x->sums + at * 2);
                float product = value * x->scale[at];
                y[c * y_stride + r] += product;
            }
        }
    }
}

static void matmul_rows256(float *y, size_t y_stride, const uint8_t *w, size_t row_bytes,
                           size_t n_rows, const struct sprat__acts *x, size_t n_columns, size_t n_k,
                           sprat__unpack256_fn *unpack, size_t block_bytes, bool has_min)
{
    struct sprat__block256 block;
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t c = 0; c < n_columns; c++)
            y[c * y_stride + r] = 0.0f;
        for (size_t b = 0; b < n_k / 256; b++) {
            unpack(&block, w + r * row_bytes + b * block_bytes);
            for (size_t c = 0; c < n_columns; c++) {
                size_t at = c * (n_k / 256) + b;
                float value = matmul_block256(&block, has_min, x->q + at * 256, x->sums + at * 16,
                                              x->shift + at * 8);
                float product = value * x->scale[at];
                y[c * y_stride + r] += product;
            }
        }
    }
}

#define MATMUL_I8_32(name, type, bytes, parts, has_min)                                            \
    void sprat__matmul_i8_##name##_scalar(                                                         \
        float *y, size_t y_stride, const uint8_t *w, size_t row_bytes, size_t n_rows,              \
        const struct sprat__acts *x, size_t n_columns, size_t n_k)                                 \
    {                                                                                              \
        matmul_rows32(y, y_stride, w, row_bytes, n_rows, x, n_columns, n_k,                        \
                      sprat__unpack32(SPRAT__##type), bytes, parts, has_min);                      \
    }
#define MATMUL_I8_256(name, type, bytes, has_min)                                                  \
    void sprat__matmul_i8_##name##_scalar(                                                         \
        float *y, size_t y_stride, const uint8_t *w, size_t row_bytes, size_t n_rows,              \
        const struct sprat__acts *x, size_t n_columns, size_t n_k)                                 \
    {                                                                                              \
        matmul_rows256(y, y_stride, w, row_bytes, n_rows, x, n_columns, n_k,                       \
                       sprat__unpack256(SPRAT__##type), bytes, has_min);                           \
    }

MATMUL_I8_32(q4_0, Q4_0, 18, 1, false)
MATMUL_I8_32(q4_1, Q4_1, 20, 1, true)
MATMUL_I8_32(q5_0, Q5_0, 22, 1, false)
MATMUL_I8_32(q5_1, Q5_1, 24, 1, true)
MATMUL_I8_32(q8_0, Q8_0, 34, 1, false)
MATMUL_I8_32(iq4_nl, IQ4_NL, 18, 1, false)
MATMUL_I8_32(mxfp4, MXFP4, 17, 1, false)
MATMUL_I8_32(q1_0, Q1_0, 18, 4, false)
MATMUL_I8_32(q2_0, Q2_0, 18, 2, false)
MATMUL_I8_256(q2_k, Q2_K, 84, true)
MATMUL_I8_256(q3_k, Q3_K, 110, false)
MATMUL_I8_256(q4_k, Q4_K, 144, true)
MATMUL_I8_256(q5_k, Q5_K, 176, true)
MATMUL_I8_256(q6_k, Q6_K, 210, false)
MATMUL_I8_256(iq1_s, IQ1_S, 50, false)
MATMUL_I8_256(iq1_m, IQ1_M, 56, false)
MATMUL_I8_256(iq2_xxs, IQ2_XXS, 66, false)
MATMUL_I8_256(iq2_xs, IQ2_XS, 74, false)
MATMUL_I8_256(iq2_s, IQ2_S, 82, false)
MATMUL_I8_256(iq3_xxs, IQ3_XXS, 98, false)
MATMUL_I8_256(iq3_s, IQ3_S, 110, false)
MATMUL_I8_256(iq4_xs, IQ4_XS, 136, false)
MATMUL_I8_256(tq1_0, TQ1_0, 54, false)
MATMUL_I8_256(tq2_0, TQ2_0, 66, false)
#undef MATMUL_I8_32
#undef MATMUL_I8_256
