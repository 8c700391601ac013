/* The small steps that kernels on rows share: the scalar ones here, and those of lib/kernel/body,
 * which take a row's whole vectors by instructions of their own. */
#ifndef SPRAT__ROWS_H
#define SPRAT__ROWS_H

#include "kernel/half.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* What a row is multiplied by to have mean square 1. Of a sum that has overflowed 1 / sqrt would
 * make zeros, which look like numbers. */
static inline float sprat__rms_scale(float sum_squares, size_t n, float epsilon)
{
    float mean = sum_squares / (float)n;
    return mean <= FLT_MAX ? 1.0f / sqrtf(mean + epsilon) : NAN;
}

static inline void sprat__rotate(float *a, float *b, float cosine, float sine)
{
    float left = *a * cosine - *b * sine;
    float right = *a * sine + *b * cosine;
    *a = left;
    *b = right;
}

/* A block's scale in 8 bits by the bits of its largest |x|, infinities and NaN the largest of all;
 * inverse: what its values are multiplied by; 0: none, they are zeros. Below 2^-100 a block is
 * taken as zero: 127 divided by it still fits. */
static inline float sprat__quantize_scale(int32_t largest_bits, float *inverse)
{
    float largest = sprat__float_of_bits((uint32_t)largest_bits);
    *inverse = 0.0f;
    if (!(largest <= FLT_MAX))
        return sprat__float_of_bits(0x7fc00000u);
    if (!(largest >= 0x1p-100f))
        return 0.0f;
    *inverse = 127.0f / largest;
    return largest / 127.0f;
}

/* The largest of 1, 2, 4, 8 by which 32 values, the largest of them of size part, may be multiplied
 * beside a block's largest; shift: 3 minus its logarithm. */
static inline float sprat__quantize_grown(int32_t part_bits, int32_t largest_bits, uint8_t *shift)
{
    float part = sprat__float_of_bits((uint32_t)part_bits);
    float largest = sprat__float_of_bits((uint32_t)largest_bits);
    float grown = 1.0f;
    *shift = 3;
    while (*shift > 0 && part * (grown * 2.0f) <= largest) {
        grown *= 2.0f;
        (*shift)--;
    }
    return grown;
}

#endif
