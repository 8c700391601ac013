/* The order of every floating-point sum over a row: 16 lanes by index mod 16, each from +0 upward,
 * then a fixed tree. A product is rounded, then added (doc/numerics.md). */
#ifndef SPRAT__LANES_H
#define SPRAT__LANES_H

#include <stddef.h>

enum { SPRAT__LANES = 16 };

static inline float sprat__lanes_sum(const float *lane)
{
    float a[8], b[4], c[2];
    for (int i = 0; i < 8; i++)
        a[i] = lane[i] + lane[i + 8];
    for (int i = 0; i < 4; i++)
        b[i] = a[i] + a[i + 4];
    for (int i = 0; i < 2; i++)
        c[i] = b[i] + b[i + 2];
    return c[0] + c[1];
}

/* lane[k mod 16] += a[k] · b[k]; the range begins at a multiple of 16. The sums stand in a local
 * array so that a compiler can hold them in registers. */
static inline void sprat__lanes_dot(float *restrict lane, const float *restrict a,
                                    const float *restrict b, size_t n)
{
    float sum[SPRAT__LANES];
    for (size_t i = 0; i < SPRAT__LANES; i++)
        sum[i] = lane[i];
    size_t whole = n & ~(size_t)15;
    for (size_t k = 0; k < whole; k += SPRAT__LANES) {
        for (size_t i = 0; i < SPRAT__LANES; i++)
            sum[i] += a[k + i] * b[k + i];
    }
    for (size_t i = 0; i < SPRAT__LANES; i++)
        lane[i] = sum[i];
    for (size_t k = whole; k < n; k++)
        lane[k - whole] += a[k] * b[k];
}

#endif
