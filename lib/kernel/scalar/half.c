/* Rows of binary16 to binary32 and back, one element at a time by kernel/half.h. */
#include "kernel/half.h"

#include "kernel/kernel.h"

void sprat__f32_to_f16_scalar(uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__float_to_half(x[i]);
}

void sprat__f16_to_f32_scalar(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = sprat__half_to_float(x[i]);
}
