/* exp of a binary32, the same bits everywhere: n = the integer nearest x·log2 e, r = x − n·ln 2 in
 * two parts, a polynomial of degree 6 in r by Horner's rule, then two exact scalings by powers of
 * two, so that results fade through the subnormals. Every product and sum is rounded by itself.
 * Relative error below 2e-7 (test/kernel). */
#ifndef SPRAT__EXP32_H
#define SPRAT__EXP32_H

#include <stdint.h>
#include <string.h>

static inline float sprat__power_of_two(int32_t n)
{
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float sprat__exp32(float x)
{
    if (!(x > -104.0f)) /* below the smallest subnormal; a NaN stays one */
        return x == x ? 0.0f : x;
    if (x > 89.0f)
        x = 89.0f; /* overflows to infinity in the last product */
    const float magic = 12582912.0f;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r);
    p = p + r;
    p = p + 1.0f;
    int32_t whole = (int32_t)n;
    int32_t half = whole / 2;
    return p * sprat__power_of_two(half) * sprat__power_of_two(whole - half);
}

#endif
