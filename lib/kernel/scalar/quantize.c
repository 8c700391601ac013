/* Owns the rounding of activations: to 8 bits for numerics INT8, to 13 or 16 significant bits
 * beside 16-bit floats. A row is rounded once and by itself, so that nothing around it can change
 * it. */
#include "kernel/half.h"
#include "kernel/kernel.h"
#include "kernel/scalar/rows.h"

/* The largest |x| as bits; infinities and NaN are larger than every number. */
static int32_t quantize_largest(const float *x, size_t n)
{
    int32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t size = (int32_t)(sprat__bits_of_float(x[i]) & 0x7fffffffu);
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* The nearest integer, ties to even; |x| < 2^22. */
static int32_t quantize_nearest(float x)
{
    const float magic = 12582912.0f;
    return (int32_t)((x + magic) - magic);
}

static void quantize_32_values(int8_t *q, int16_t *sums, const float *x, float inverse)
{
    int32_t sum[2] = {0, 0};
    for (size_t i = 0; i < 32; i++) {
        int32_t value = quantize_nearest(x[i] * inverse);
        q[i] = (int8_t)value;
        sum[i / 16] += value;
    }
    sums[0] = (int16_t)sum[0];
    sums[1] = (int16_t)sum[1];
}

static void quantize_zeros(int8_t *q, int16_t *sums, size_t n)
{
    for (size_t i = 0; i < n; i++)
        q[i] = 0;
    for (size_t i = 0; i < n / 16; i++)
        sums[i] = 0;
}

void sprat__quantize_32_scalar(int8_t *q, float *scale, int16_t *sums, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 32) {
        float inverse;
        scale[i / 32] = sprat__quantize_scale(quantize_largest(x + i, 32), &inverse);
        if (inverse > 0.0f)
            quantize_32_values(q + i, sums + i / 16, x + i, inverse);
        else
            quantize_zeros(q + i, sums + i / 16, 32);
    }
}

void sprat__quantize_256_scalar(int8_t *q, float *scale, int16_t *sums, uint8_t *shift,
                                const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 256) {
        int32_t largest = quantize_largest(x + i, 256);
        float inverse;
        scale[i / 256] = sprat__quantize_scale(largest, &inverse) * 0.125f;
        for (size_t j = i; j < i + 256; j += 32) {
            if (!(inverse > 0.0f)) {
                shift[j / 32] = 0;
                quantize_zeros(q + j, sums + j / 16, 32);
                continue;
            }
            int32_t part = quantize_largest(x + j, 32);
            float grown = sprat__quantize_grown(part, largest, &shift[j / 32]);
            quantize_32_values(q + j, sums + j / 16, x + j, inverse * grown);
        }
    }
}

void sprat__rest_32_scalar(float *y, const float *x, const int8_t *q, const float *scale, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = (float)q[i] * scale[i / 32];
        y[i] = x[i] - value;
    }
}

void sprat__rest_256_scalar(float *y, const float *x, const int8_t *q, const float *scale,
                            const uint8_t *shift, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = (float)(q[i] * (1 << shift[i / 32])) * scale[i / 256];
        y[i] = x[i] - value;
    }
}

void sprat__round_f32_scalar(float *y, size_t n, unsigned bits)
{
    unsigned dropped = 24 - bits;
    for (size_t i = 0; i < n; i++) {
        uint32_t value = sprat__bits_of_float(y[i]);
        if ((value & 0x7f800000u) == 0x7f800000u)
            continue;
        uint32_t odd = value >> dropped & 1;
        value += (1u << (dropped - 1)) - 1 + odd;
        y[i] = sprat__float_of_bits(value & ~((1u << dropped) - 1));
    }
}
