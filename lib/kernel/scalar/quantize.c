/* Owns the rounding of activations: to 8 bits for numerics INT8, to 13 or 16 significant bits
 * beside 16-bit floats. A row is rounded once and by itself, so that nothing around it can change
 * it. */
#include "kernel/kernel.h"

#include "kernel/half.h"

/* Below it a block is taken as zero: 127 divided by it still fits. */
#define QUANTIZE_LEAST 0x1p-100f

/* The largest |x|; a NaN where any is not finite. */
static float quantize_largest(const float *x, size_t n)
{
    float largest = 0.0f, poison = 0.0f;
    for (size_t i = 0; i < n; i++) {
        float size = x[i] < 0.0f ? -x[i] : x[i];
        largest = size > largest ? size : largest;
        poison += x[i] - x[i];
    }
    return poison == 0.0f ? largest : sprat__float_of_bits(0x7fc00000u);
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
        float largest = quantize_largest(x + i, 32);
        if (largest >= QUANTIZE_LEAST) {
            scale[i / 32] = largest / 127.0f;
            quantize_32_values(q + i, sums + i / 16, x + i, 127.0f / largest);
        } else {
            scale[i / 32] = largest == largest ? 0.0f : largest;
            quantize_zeros(q + i, sums + i / 16, 32);
        }
    }
}

void sprat__quantize_256_scalar(int8_t *q, float *scale, int16_t *sums, uint8_t *shift,
                                const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 256) {
        float largest = quantize_largest(x + i, 256);
        bool zero = !(largest >= QUANTIZE_LEAST);
        scale[i / 256] = zero ? (largest == largest ? 0.0f : largest) : largest / 127.0f * 0.125f;
        float inverse = zero ? 0.0f : 127.0f / largest;
        for (size_t j = i; j < i + 256; j += 32) {
            if (zero) {
                shift[j / 32] = 0;
                quantize_zeros(q + j, sums + j / 16, 32);
                continue;
            }
            float part = quantize_largest(x + j, 32), grown = 1.0f;
            uint8_t steps = 0;
            while (steps < 3 && part * (grown * 2.0f) <= largest) {
                grown *= 2.0f;
                steps++;
            }
            shift[j / 32] = (uint8_t)(3 - steps);
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
